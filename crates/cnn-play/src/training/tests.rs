use super::*;
use crate::{DqnSettings, Game, PIXELS};
use cnn_nn::spec::{conv2d, flatten, linear, relu};
use cnn_nn::{Adam, RunFolder, layers};
use cnn_tensor::parallel::Threads;

/// Settings under which the memory is soon full, and the target network renewed often.
fn settings() -> TrainingSettings {
    let dqn = DqnSettings {
        batch: 20,
        optimizer: Adam::default().into(),
        learning_rate: 1e-3,
        target_every: 5,
        returns: 2,
        ..DqnSettings::default()
    };
    let epsilon = Epsilon { first: 1.0, last: 0.2, steps: 200 };
    TrainingSettings {
        actors: 3,
        memory: 200,
        start: 40,
        learn_every: 6,
        epsilon,
        dqn,
        ..Game::Catch.recipe()
    }
}

fn net(actions: usize) -> Graph {
    let layers = layers![conv2d(4, 12).stride(12), relu(), flatten(), linear(actions)];
    Graph::build(layers, [4, 84, 84], 1).unwrap()
}

fn games(game: &Game) -> Vec<Box<dyn Environment>> {
    (0..3).map(|i| game.open(5, &i.to_string()).unwrap()).collect()
}

fn run(training: &mut Training, steps: u64) {
    while training.progress().steps < steps {
        training.tick().unwrap();
    }
}

/// Everything that must be equal: tensors, progress and memory.
fn bits(training: &Training) -> (Vec<(String, Tensor)>, Progress, crate::Sample) {
    let draw = training.settings.dqn.draw();
    (training.agent.state(), training.progress.clone(), training.replay.sample(draw, 1, 2).unwrap())
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let with = |threads| {
        Threads::new(threads).unwrap().run(|| {
            let mut training = Training::new(net(3), games(&Game::Catch), settings()).unwrap();
            run(&mut training, 450);
            bits(&training)
        })
    };
    let one = with(1);
    assert!(one.1.games.len() > 15 && one.1.loss.is_some());
    assert!(one == with(2) && one == with(3));
}

#[test]
fn a_resumed_run_equals_an_unbroken_one() {
    for game in [Game::Catch, Game::Pong, Game::Breakout] {
        let begin = || Training::new(net(3), games(&game), settings()).unwrap();
        let mut unbroken = begin();
        run(&mut unbroken, 600);
        let path = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(path.path()).unwrap();
        assert!(Training::load::<String>(&folder).unwrap().is_none());
        let mut training = begin();
        // Twice before the memory is full, once after: and the process goes on in between.
        for steps in [30, 130, 420] {
            run(&mut training, steps);
            training.save(&folder, &"a run").unwrap();
        }
        run(&mut training, 450);
        let resumed = Training::load::<String>(&folder).unwrap().unwrap();
        assert_eq!((resumed.config.as_str(), &resumed.settings), ("a run", &settings()));
        let elsewhere = (0..3).map(|_| game.open(99, "elsewhere").unwrap()).collect();
        let mut again = Training::resume(net(3), elsewhere, &folder, resumed).unwrap();
        assert_eq!(again.progress.steps, 420);
        run(&mut again, 600);
        assert!(bits(&again) == bits(&unbroken), "{game}");
        // A run that was resumed is saved and resumed again.
        again.save(&folder, &"a run").unwrap();
        let resumed = Training::load::<String>(&folder).unwrap().unwrap();
        let again = Training::resume(net(3), games(&game), &folder, resumed).unwrap();
        assert!(bits(&again) == bits(&unbroken), "{game}");
    }
}

/// A game that fails in a step, and cannot tell its state.
struct Failing {
    game: Box<dyn Environment>,
    steps: usize,
}

impl Environment for Failing {
    fn actions(&self) -> &[String] {
        self.game.actions()
    }

    fn reset(&mut self) -> Result<(), PlayError> {
        self.game.reset()
    }

    fn step(&mut self, action: usize) -> Result<Outcome, PlayError> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| PlayError::Process {
            game: "ale:test".into(),
            fault: "ended".into(),
            said: None,
        })?;
        self.game.step(action)
    }

    fn frame(&self) -> &[u8] {
        self.game.frame()
    }
}

#[test]
fn a_run_whose_game_fails_is_saved_and_resumed_with_new_games() {
    let failing = |steps: usize| -> Vec<Box<dyn Environment>> {
        let game = |game| -> Box<dyn Environment> { Box::new(Failing { game, steps }) };
        games(&Game::Pong).into_iter().map(game).collect()
    };
    let mut training = Training::new(net(3), failing(30), settings()).unwrap();
    let message = loop {
        if let Err(fault) = training.tick() {
            break fault.to_string();
        }
    };
    assert_eq!(message, "ale:test: the game's process ended");
    assert_eq!((training.progress.steps, training.agent.updates()), (90, 8));
    let path = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(path.path()).unwrap();
    training.save(&folder, &0).unwrap();
    let resumed = Training::load::<i32>(&folder).unwrap().unwrap();
    let mut again = Training::resume(net(3), failing(1000), &folder, resumed).unwrap();
    assert_eq!((again.progress.steps, again.replay.len()), (90, 90));
    run(&mut again, 400);
    assert_eq!(again.agent.updates(), 60);
}

#[test]
fn a_checkpoint_that_is_damaged_or_does_not_fit_is_refused() {
    let path = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(path.path()).unwrap();
    let mut training = Training::new(net(3), games(&Game::Catch), settings()).unwrap();
    run(&mut training, 100);
    training.save(&folder, &0).unwrap();
    let saved = cnn_nn::checkpoint::load(&folder.checkpoint()).unwrap();
    let tensors: Vec<_> = saved.tensors.into_iter().collect();
    let description = saved.description.unwrap();
    let try_with = |description: &str, tensors: &[(String, Tensor)], actions: usize| {
        cnn_nn::checkpoint::save(&folder.checkpoint(), description, tensors).unwrap();
        let resumed = Training::load::<i32>(&folder)?.unwrap();
        Training::resume(net(actions), games(&Game::Catch), &folder, resumed).map(drop)
    };
    try_with(&description, &tensors, 3).unwrap();
    assert!(try_with(&description, &tensors, 4).unwrap_err().to_string().contains("4 outputs for 3 actions"));
    for (from, to, message) in [
        ("cnn-dqn", "cnn-other", "got \"cnn-other\" version 1"),
        ("\"version\":1", "\"version\":7", "version 7"),
        (
            "\"updates\":10",
            "\"updates\":18446744073709551615",
            "numbers of steps and updates that go together",
        ),
        ("\"steps\":102", "\"steps\":9007199254740993", "numbers of steps and updates that go together"),
        ("\"memory\":200", "\"memory\":300", "another"),
        ("\"memory\":200", "\"memory\":999999999999999", "small enough for the system to provide it"),
        ("\"actors\":3", "\"actors\":2", "one for each actor"),
        ("\\\"paddle\\\":", "\\\"paddle\\\":9", "numbers out of their range"),
        ("\"learn_every\":6", "\"learn_every\":0", "at least 1"),
        ("\"discount\":0.99", "\"discount\":9", "from 0 to 1"),
        ("{\"format\"", "[{\"format\"", "expected the checkpoint of a run that learns to play"),
    ] {
        let changed = description.replacen(from, to, 1);
        assert_ne!(changed, description, "{from}");
        match try_with(&changed, &tensors, 3) {
            Err(fault) => {
                let fault = fault.to_string();
                assert!(fault.contains(message), "{from}: {fault}");
            }
            // A larger memory holds the frames of a smaller one that was not full.
            Ok(()) => assert_eq!(message, "another", "{from}"),
        }
    }
    for (i, (name, _)) in tensors.iter().enumerate() {
        let mut fewer = tensors.clone();
        fewer.remove(i);
        assert!(try_with(&description, &fewer, 3).is_err(), "{name}");
    }
    cnn_nn::checkpoint::save(&folder.checkpoint(), "{}", &[]).unwrap();
    let refused = |()| Training::load::<i32>(&folder).err().unwrap().to_string();
    assert!(refused(()).starts_with(&folder.checkpoint().display().to_string()));
    std::fs::write(folder.checkpoint(), b"nothing").unwrap();
    assert!(refused(()).contains("expected a safetensors file"));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |settings: TrainingSettings| {
        Training::new(net(3), games(&Game::Catch), settings).err().unwrap().to_string()
    };
    assert!(refused(TrainingSettings { actors: 0, ..settings() }).contains("from 1 to 64"));
    assert!(refused(TrainingSettings { actors: 4, ..settings() }).contains("one for each actor"));
    assert!(refused(TrainingSettings { start: 1, ..settings() }).contains("before the agent learns"));
    assert!(refused(TrainingSettings { start: 201, ..settings() }).contains("before the agent learns"));
    let epsilon = Epsilon { first: 1.5, ..settings().epsilon };
    assert!(refused(TrainingSettings { epsilon, ..settings() }).contains("from 0 to 1, got 1.5"));
}

#[test]
fn scores_are_whole_where_learned_rewards_are_clipped() {
    /// Pays 5 in each of its three steps, and takes a life in the second.
    struct Rich {
        names: Vec<String>,
        step: usize,
    }
    impl Environment for Rich {
        fn actions(&self) -> &[String] {
            &self.names
        }
        fn reset(&mut self) -> Result<(), PlayError> {
            self.step = 0;
            Ok(())
        }
        fn step(&mut self, _: usize) -> Result<Outcome, PlayError> {
            self.step += 1;
            Ok(Outcome { reward: 5.0, over: self.step == 3, life_lost: self.step == 2 })
        }
        fn frame(&self) -> &[u8] {
            &[7; PIXELS]
        }
    }
    let rich = || -> Box<dyn Environment> {
        Box::new(Rich { names: ["a", "b", "c"].map(String::from).to_vec(), step: 0 })
    };
    for (life_ends, ends) in [(true, 2), (false, 1)] {
        let settings = TrainingSettings { life_ends, actors: 1, ..settings() };
        let mut training = Training::new(net(3), vec![rich()], settings).unwrap();
        run(&mut training, 30);
        let games = &training.progress().games;
        assert!(games.len() == 10 && games.iter().all(|game| game.score == 15.0 && game.steps == 3));
        assert_eq!(games[1].at, 6);
        let draw = crate::Draw { count: 300, steps: 1, discount: 0.5 };
        let sample = training.replay.sample(draw, 0, 0).unwrap();
        assert!(sample.rewards.iter().all(|&reward| reward == 1.0));
        let over = sample.discounts.iter().filter(|&&discount| discount == 0.0).count() as f64 / 300.0;
        assert!((over - f64::from(ends) / 3.0).abs() < 0.12, "{over}");
    }
}
