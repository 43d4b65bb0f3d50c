//! Numbers that lie some places apart.

/// Copies every `stride`th number of `x` to `slots`, as many as these are; `x` has them.
pub(super) fn every(stride: usize, x: &[f32], slots: &mut [f32]) {
    match stride {
        1 => slots.copy_from_slice(&x[..slots.len()]),
        2 => known::<2>(x, slots),
        4 => known::<4>(x, slots),
        _ => slots.iter_mut().zip(x.iter().step_by(stride)).for_each(|(slot, &v)| *slot = v),
    }
}

/// Where the compiler knows the stride it makes vector code of this.
fn known<const STRIDE: usize>(x: &[f32], slots: &mut [f32]) {
    let (groups, rest) = x.as_chunks::<STRIDE>();
    let (whole, last) = slots.split_at_mut(slots.len().min(groups.len()));
    whole.iter_mut().zip(groups).for_each(|(slot, group)| *slot = group[0]);
    last.iter_mut().zip(rest).for_each(|(slot, &v)| *slot = v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stride_copies_the_numbers_at_its_multiples() {
        let x: Vec<f32> = (0..40).map(|i| i as f32).collect();
        for stride in 1..7 {
            for count in 0..=40usize.div_ceil(stride) {
                let mut slots = vec![-1.0; count];
                // The last number may be the last of `x`.
                let end = if count == 0 { 0 } else { (count - 1) * stride + 1 };
                every(stride, &x[..end], &mut slots);
                let want: Vec<f32> = (0..count).map(|i| (i * stride) as f32).collect();
                assert_eq!(slots, want, "{stride}");
            }
        }
    }
}
