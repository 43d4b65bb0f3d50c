use super::*;
use crate::PIXELS;
use cnn_tensor::Random;

/// The score of a game in which `choose` sees the state.
fn score<R: Rules>(game: &mut Played<R>, mut choose: impl FnMut(&R) -> usize) -> f32 {
    game.reset().unwrap();
    let mut score = 0.0;
    for _ in 0..20_000 {
        let outcome = game.step(choose(&game.rules)).unwrap();
        score += outcome.reward;
        if outcome.over {
            return score;
        }
    }
    panic!("a game without end: {score} points")
}

/// The mean score of `games` games.
fn mean<R: Rules>(games: usize, mut choose: impl FnMut(&R) -> usize) -> f32 {
    let mut game = Played::<R>::new(1, "test");
    (0..games).map(|_| score(&mut game, &mut choose)).sum::<f32>() / games as f32
}

fn random() -> impl FnMut() -> usize {
    let mut random = Random::new(5, &["player"]);
    move || random.below(3)
}

#[test]
fn every_ball_of_catch_can_be_caught_and_a_random_player_misses_most() {
    assert_eq!(mean(300, Catch::best), 1.0);
    let mut random = random();
    assert!((-0.9..-0.2).contains(&mean::<Catch>(300, |_| random())));
}

#[test]
fn pong_is_lost_at_random_and_won_by_following_the_ball() {
    let (mut any, follows) = (random(), mean(5, Pong::follow));
    assert!(mean::<Pong>(5, |_| any()) < -15.0);
    assert!(follows > 17.0, "{follows}");
}

#[test]
fn breakout_pays_for_meeting_the_ball_here_and_there() {
    let (mut any, mut here_and_there) = (random(), random());
    let low = mean::<Breakout>(20, |_| any());
    // The ball comes down after many steps, so that the last number drawn is as good as one for each time.
    let mut off = 0;
    let high = mean(5, |game: &Breakout| {
        off = if game.is_high() { 4 * (here_and_there() as i32 - 1) } else { off };
        game.follow(off)
    });
    assert!((0.5..8.0).contains(&low) && high > 12.0 * low, "{low}, {high}");
}

/// Two series of the same name are equal, frame by frame, also when one of them continues from a state.
fn assert_deterministic<R: Rules>() {
    let [mut a, mut b, mut other] =
        [(3, "x"), (3, "x"), (4, "x")].map(|(seed, name)| Played::<R>::new(seed, name));
    let mut random = random();
    let (mut games, mut differs) = (0, false);
    for game in [&mut a, &mut b, &mut other] {
        game.reset().unwrap();
    }
    for step in 0..3000 {
        let action = random();
        let outcomes = [a.step(action).unwrap(), b.step(action).unwrap()];
        assert_eq!(outcomes[0], outcomes[1]);
        assert!(a.frame() == b.frame() && a.frame().len() == PIXELS);
        assert!(a.rules.is_sound());
        differs |= other.step(action).unwrap() != outcomes[0] || other.frame() != a.frame();
        if outcomes[0].over {
            games += 1;
            a.reset().unwrap();
            b.reset().unwrap();
        }
        if step % 100 == 7 {
            let state = a.state().unwrap();
            b = Played::new(99, "elsewhere");
            b.restore(&state).unwrap();
            assert_eq!(b.state().unwrap(), state);
        }
    }
    assert!(games > 0 && differs);
}

#[test]
fn the_same_seed_gives_the_same_frames_also_from_a_saved_state() {
    assert_deterministic::<Catch>();
    assert_deterministic::<Pong>();
    assert_deterministic::<Breakout>();
}

#[test]
fn states_that_no_game_gets_into_are_refused() {
    let mut catch = Played::<Catch>::new(0, "a");
    let state = catch.state().unwrap();
    let message = |state: &str, catch: &mut Played<Catch>| catch.restore(state).unwrap_err().to_string();
    let far = state.replace("\"paddle\":35", "\"paddle\":2000000000");
    assert_ne!(far, state);
    assert!(message(&far, &mut catch).ends_with("got numbers out of their range"));
    let pong = Played::<Pong>::new(0, "a").state().unwrap();
    assert!(
        message(&pong, &mut catch).starts_with("the saved state of a game must be one of this game, got")
    );
    assert!(message("", &mut catch).contains("EOF"));
    assert_eq!(catch.state().unwrap(), state);
    let message = catch.step(3).unwrap_err().to_string();
    assert_eq!(message, "the number of an action must be below the number of actions, got 3 of 3");
}
