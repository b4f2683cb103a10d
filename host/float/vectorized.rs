//! Plain loops, compiled once for each level of vector instructions.
//!
//! The loops of [`split`](super::split) name no vector operation: the compiler finds them. All they
//! want from [`simd`](crate::simd) is to be entered with the features of a level.

/// Defines a function over a [`Word`](parans_kernels::float::Word) whose body is compiled for each
/// level.
/// Callers pass the [`Level`](crate::simd::Level) to run at first.
macro_rules! vectorized {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$life:lifetime, $word:ident: $bound:ident>(
            $($arg:ident: $type:ty),* $(,)?
        ) -> $return:ty $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name<$life, $word: $bound>(
            level: $crate::simd::Level,
            $($arg: $type),*
        ) -> $return {
            #[inline(always)]
            fn body<$life, $word: $bound>($($arg: $type),*) -> $return $body

            struct Call<$life, $word: $bound> {
                $($arg: $type,)*
                word: std::marker::PhantomData<&$life $word>,
            }

            impl<$life, $word: $bound> $crate::simd::Work for Call<$life, $word> {
                type Output = $return;
            }

            impl<$life, S: $crate::simd::Simd, $word: $bound> $crate::simd::RunOn<S>
                for Call<$life, $word>
            {
                #[inline(always)]
                fn run(self, _: S) -> $return {
                    body::<$word>($(self.$arg),*)
                }
            }

            let call = Call::<$word> { $($arg,)* word: std::marker::PhantomData };
            match $crate::simd::dispatch(level, call) {
                Ok(done) => done,
                // The level without vectors.
                Err(call) => body::<$word>($(call.$arg),*),
            }
        }
    };
}
pub(super) use vectorized;
