//! The palette: few colours, which differ for colour-blind readers and in gray print.

use image::Rgb;

/// The sheet.
pub const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// Titles and values.
pub const INK: Rgb<u8> = Rgb([30, 34, 40]);
/// Labels and notes.
pub const FADED: Rgb<u8> = Rgb([105, 112, 122]);
/// Grid lines and frames.
pub const GRID: Rgb<u8> = Rgb([222, 226, 231]);
/// First series: blue (Okabe and Ito, 2008).
pub const BLUE: Rgb<u8> = Rgb([0, 114, 178]);
/// Second series: vermilion (Okabe and Ito, 2008).
pub const VERMILION: Rgb<u8> = Rgb([213, 94, 0]);
/// The series of a chart: after the two, green and purple (Okabe and Ito, 2008).
pub const SERIES: [Rgb<u8>; 4] = [BLUE, VERMILION, Rgb([0, 158, 115]), Rgb([204, 121, 167])];
/// A value that is not a number: magenta, which is on no scale.
pub const NOT_A_NUMBER: Rgb<u8> = Rgb([255, 0, 255]);

/// From `a` at `t` = 0 to `b` at 1; `t` is clamped to that range.
pub fn mix(a: Rgb<u8>, b: Rgb<u8>, t: f32) -> Rgb<u8> {
    let t = t.clamp(0.0, 1.0);
    Rgb(std::array::from_fn(|i| (f32::from(a[i]) * (1.0 - t) + f32::from(b[i]) * t).round() as u8))
}

/// From black at `t` = 0 to white at 1; `t` is clamped to that range.
pub fn gray(t: f32) -> Rgb<u8> {
    if t.is_nan() { NOT_A_NUMBER } else { mix(Rgb([0; 3]), Rgb([255; 3]), t) }
}

/// From blue at `t` = -1 through white at 0 to red at 1, after ColorBrewer's RdBu; `t` is clamped to that range.
pub fn diverging(t: f32) -> Rgb<u8> {
    const NEGATIVE: [Rgb<u8>; 2] = [Rgb([103, 169, 207]), Rgb([33, 102, 172])];
    const POSITIVE: [Rgb<u8>; 2] = [Rgb([239, 138, 98]), Rgb([178, 24, 43])];
    if t.is_nan() {
        return NOT_A_NUMBER;
    }
    let [half, full] = if t < 0.0 { NEGATIVE } else { POSITIVE };
    if t.abs() < 0.5 { mix(PAPER, half, 2.0 * t.abs()) } else { mix(half, full, 2.0 * t.abs() - 1.0) }
}

/// From black at `t` = 0 through violet, red and orange to pale yellow at 1, ever brighter, after matplotlib's inferno; `t` is
/// clamped to that range.
pub fn heat(t: f32) -> Rgb<u8> {
    const STOPS: [Rgb<u8>; 7] = [
        Rgb([0, 0, 4]),
        Rgb([58, 9, 99]),
        Rgb([128, 31, 108]),
        Rgb([197, 60, 75]),
        Rgb([242, 112, 32]),
        Rgb([251, 182, 26]),
        Rgb([252, 255, 164]),
    ];
    if t.is_nan() {
        return NOT_A_NUMBER;
    }
    let place = t.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    mix(STOPS[below], STOPS[below + 1], place - below as f32)
}

/// Ink or paper, whichever is easier to read on this background.
pub fn legible_on(Rgb([r, g, b]): Rgb<u8>) -> Rgb<u8> {
    // Rec. 601 luma.
    let luma = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    if luma < 140.0 { PAPER } else { INK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_is_red_negative_is_blue_and_zero_is_white() {
        let Rgb([r, _, b]) = diverging(1.0);
        assert!(r > 3 * b);
        let Rgb([r, _, b]) = diverging(-1.0);
        assert!(b > 3 * r);
        assert_eq!(diverging(0.0), PAPER);
    }

    #[test]
    fn scales_saturate_and_mark_what_is_not_a_number() {
        assert_eq!(diverging(f32::INFINITY), diverging(1.0));
        assert_eq!(gray(-3.0), Rgb([0; 3]));
        assert_eq!([gray(f32::NAN), diverging(f32::NAN)], [NOT_A_NUMBER; 2]);
    }

    #[test]
    fn heat_becomes_brighter_throughout() {
        let luma =
            |Rgb([r, g, b]): Rgb<u8>| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
        let all: Vec<f32> = (0..=60).map(|i| luma(heat(i as f32 / 60.0))).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!([heat(-1.0), heat(2.0), heat(f32::NAN)], [heat(0.0), heat(1.0), NOT_A_NUMBER]);
    }

    #[test]
    fn text_contrasts_with_its_background() {
        assert_eq!(legible_on(PAPER), INK);
        assert_eq!(legible_on(BLUE), PAPER);
    }
}
