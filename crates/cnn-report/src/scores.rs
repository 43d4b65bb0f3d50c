//! The scores of games over a run that learns to play.

use crate::PictureError;
use crate::canvas::{Canvas, LABEL, Rect, TITLE};
use crate::chart::{Panel, Scale, Series};
use crate::color::{BLUE, FADED, PAPER, SERIES, mix};

/// The games of a run.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The name of its line.
    pub name: String,
    /// For each game, in the order of their ends: the steps of the run until then, and the score.
    pub games: Vec<(f64, f64)>,
}

/// The games over which a mean is taken, and those of the pale line.
const MEAN_OF: [usize; 2] = [100, 10];
/// The most points of a line.
const POINTS: usize = 500;
/// The most runs, each with a colour of its own.
const RUNS: usize = SERIES.len();

/// The mean score of the last 100 games over the steps of one run, or of up to four; of one run also that of the last 10 games, pale.
/// A line begins when there are 10 games, and has at most 500 points.
///
/// A PNG of 1600 x 850 pixels.
///
/// # Errors
/// There are more than four runs, or the chart cannot be drawn or encoded.
pub fn scores(title: &str, note: &str, runs: &[Scores]) -> Result<Vec<u8>, PictureError> {
    if runs.len() > RUNS {
        let (expected, got) = (format!("at most {RUNS} runs"), runs.len().to_string());
        return Err(PictureError::Data { picture: "scores", expected, got });
    }
    let mut series = Vec::new();
    if let [run] = runs {
        let points = thinned(means(&run.games, MEAN_OF[1]));
        series.push(Series { name: "last 10".into(), color: mix(PAPER, BLUE, 0.3), points });
    }
    for (run, color) in runs.iter().zip(SERIES) {
        series.push(Series { name: run.name.clone(), color, points: thinned(means(&run.games, MEAN_OF[0])) });
    }
    let mut canvas = Canvas::new(1600, 850);
    canvas.text(60.0, 60.0, TITLE.fit(title, 1480.0), title);
    canvas.text(60.0, 112.0, LABEL.colored(FADED).fit(note, 1480.0), note);
    let panel = Panel {
        heading: "Score, mean of the last 100 games".into(),
        series,
        x: Scale::Linear,
        x_label: "thousand steps",
        y: Scale::Linear,
        y_range: None,
        last: Some(|score| format!("{score:.2}")),
    };
    panel.draw(&mut canvas, Rect { x: 140, y: 260, w: 1140, h: 470 })?;
    canvas.png()
}

/// The mean score of the last games, after each step in which a game came to its end.
fn means(games: &[(f64, f64)], of: usize) -> impl Iterator<Item = (f64, f64)> {
    let mean = move |(i, (at, _)): (usize, &(f64, f64))| {
        let last = &games[(i + 1).saturating_sub(of)..=i];
        (*at, last.iter().map(|(_, score)| score).sum::<f64>() / last.len() as f64)
    };
    let is_last_of_step = |i: usize| games.get(i + 1).is_none_or(|next| next.0 != games[i].0);
    games.iter().enumerate().skip(MEAN_OF[1] - 1).filter(move |(i, _)| is_last_of_step(*i)).map(mean)
}

/// At most [`POINTS`] of the points, the last one among them; those that are not finite are left out. Steps become thousands.
fn thinned(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let points: Vec<_> = points.filter(|(at, score)| at.is_finite() && score.is_finite()).collect();
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1) % every;
    points.into_iter().skip(last).step_by(every).map(|(at, score)| (at / 1000.0, score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::imageops::crop_imm;

    fn run(name: &str, scores: impl Iterator<Item = f64>) -> Scores {
        let games = scores.enumerate().map(|(i, score)| (20.0 * (i + 1) as f64, score)).collect();
        Scores { name: name.into(), games }
    }

    #[test]
    fn the_mean_is_of_the_last_hundred_games_and_lines_are_thinned_to_their_end() {
        let mut games = run("", (0..350).map(f64::from)).games;
        let of = |games: &[(f64, f64)], count| means(games, count).collect::<Vec<_>>();
        assert_eq!([of(&games, 100)[0], of(&games, 100)[340]], [(200.0, 4.5), (7000.0, 299.5)]);
        assert_eq!(of(&games, 10)[340], (7000.0, 344.5));
        // Two games that end in the same step are a point.
        games[348].0 = 7000.0;
        assert_eq!(of(&games, 100).len(), 340);
        let many = thinned((0..12_345).map(|i| (f64::from(i), 1.0)));
        assert!(many.len() <= POINTS && many.len() > POINTS / 2);
        assert_eq!(many.last().unwrap().0, 12.344);
        assert_eq!(thinned([(1.0, f64::NAN), (2.0, 5.0)].into_iter()), [(0.002, 5.0)]);
    }

    #[test]
    fn a_score_that_rises_is_drawn_so() {
        let rising = run("seed 0", (0..2000).map(|i| f64::from(i) / 100.0));
        let picture = decode(&scores("Catch", "", &[rising]).unwrap());
        assert_eq!(picture.dimensions(), (1600, 850));
        let quarter = |x, y| count(&crop_imm(&picture, x, y, 560, 230).to_image(), BLUE);
        assert!(quarter(150, 500) > 100 && quarter(720, 270) > 100);
        assert!(quarter(150, 270) < 20);
    }

    #[test]
    fn any_runs_give_a_picture_and_too_many_an_error() {
        let empty = || run("none", std::iter::empty());
        for runs in [
            vec![],
            vec![empty()],
            vec![run("one", [1.0].into_iter()); 4],
            vec![run("few", [1.0; 12].into_iter())],
        ] {
            assert_eq!(decode(&scores("Odd", "note", &runs).unwrap()).height(), 850);
        }
        let message = scores("", "", &vec![empty(); 5]).unwrap_err().to_string();
        assert_eq!(message, "scores: expected at most 4 runs, got 5");
    }
}
