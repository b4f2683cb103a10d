//! The examples at work on small inputs.

#[path = "../../examples/gpu_roundtrip.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example's main is not run here")]
#[allow(clippy::duplicate_mod, reason = "the example takes the software device from the tests")]
mod gpu_roundtrip;
#[path = "../../examples/hyperprior.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example's main is not run here")]
mod hyperprior;
#[path = "../../examples/lossless_image/main.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example's main is not run here")]
mod lossless_image;

use lossless_image::{Image, decode, encode};

#[test]
fn images_come_back_bit_exact_and_smaller_than_png() {
    let image = Image::made_up(160, 120);
    let png = image.to_png().unwrap();
    println!("{}", lossless_image::report("a made-up picture", &image, png.len()).unwrap());
    assert!(encode(&image).unwrap().len() < png.len());
    // Through a PNG and through a PPM.
    assert_eq!(Image::parse(&png).unwrap(), image);
    let mut ppm = b"P6\n160 120\n255\n".to_vec();
    ppm.extend(&image.samples);
    assert_eq!(Image::parse(&ppm).unwrap(), image);
}

#[test]
fn odd_images_come_back() {
    for (width, height, channels) in [(1, 1, 1), (1, 9, 3), (7, 1, 4), (33, 5, 2), (5, 0, 3)] {
        let samples = (0..width * height * channels).map(|i| (i * i * 31 % 251) as u8).collect();
        let image = Image { width, height, channels, samples };
        assert_eq!(decode(&encode(&image).unwrap()).unwrap(), image);
    }
}

#[test]
fn damaged_images_are_errors_or_other_images() {
    let image = Image::made_up(24, 16);
    let file = encode(&image).unwrap();
    for at in 0..file.len() {
        assert!(decode(&file[..at]).is_err(), "{at}");
        // Dimensions stay as they are: a flipped high byte would ask for a large image, which is
        // slow, not wrong.
        if (4..12).contains(&at) {
            continue;
        }
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert_ne!(decode(&damaged).ok().as_ref(), Some(&image), "{at}");
    }
}

#[test]
fn latents_cost_about_their_information() {
    let sizes = hyperprior::run(1).unwrap();
    println!("{sizes:?}");
    let information = sizes.information / 8.0;
    // Twenty-four rows of four 64-bit states and a length.
    let heads = 24.0 * 36.0;
    assert!(sizes.models as f64 - heads < 1.002 * information);
    assert!((sizes.tables as f64) < 1.02 * information + heads);
    assert!(sizes.hyper < sizes.tables / 10);
}

#[test]
fn tensors_on_a_device_come_back_and_are_smaller() {
    let gpu = gpu_roundtrip::software::Software::gpu();
    let (rows, columns) = (9, 700);
    let activations = gpu_roundtrip::activations(&gpu, rows, columns).unwrap();
    let latents = gpu_roundtrip::latents(&gpu, rows, columns).unwrap();
    println!("activations: {activations} bytes, latents: {latents} bytes");
    // A row's 32 states of four bytes come on top; activations have two bits of entropy.
    assert!(activations < rows * columns / 3 + rows * 128);
    assert!(latents < rows * columns + rows * 128);
}
