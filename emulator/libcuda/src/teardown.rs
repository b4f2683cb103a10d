//! The end of a context.

use crate::context::Context;
use crate::{array, event, function, module, stream};

/// Frees everything that belongs to a context and marks it dead.
pub(crate) fn destroy(context: &Context) {
    context.queues.run_all();
    context.end();
    stream::STREAMS.retain(|stream| stream.context.id != context.id);
    event::EVENTS.retain(|event| event.context.id != context.id);
    array::ARRAYS.retain(|array| array.context.id != context.id);
    function::FUNCTIONS.retain(|function| function.module.context.id != context.id);
    for module in module::MODULES.filter(|module| module.context.id == context.id) {
        context.device.machine.unload(&module.code);
    }
    module::MODULES.retain(|module| module.context.id != context.id);
    let allocations = context.device.allocations().take_all(context.id);
    for allocation in &allocations {
        context.device.release(allocation);
    }
}
