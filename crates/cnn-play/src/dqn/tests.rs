use super::*;
use cnn_nn::spec::{flatten, linear};
use cnn_nn::{Adam, Sgd, layers};
use cnn_tensor::Random;

fn settings() -> DqnSettings {
    DqnSettings {
        optimizer: Sgd::default().into(),
        learning_rate: 0.5,
        target_every: 7,
        ..DqnSettings::default()
    }
}

/// A network that has a number for each state and action: its inputs are a one in the place of the state.
fn table(states: usize, actions: usize, settings: DqnSettings) -> Dqn {
    let net = Graph::build(layers![flatten(), linear(actions).named("fc")], [4, 1, states], 3).unwrap();
    Dqn::new(net, settings).unwrap()
}

/// Stacks whose newest frame is a one in the place of the state.
fn stacks(places: &[usize], states: usize) -> Tensor {
    let one = |[i, k, _, s]: [usize; 4]| if k == 3 && places[i] == s { 1.0 } else { 0.0 };
    Tensor::from_fn([places.len(), 4, 1, states], one)
}

fn random_sample(n: usize, seed: u64) -> Sample {
    let mut random = Random::new(seed, &["sample"]);
    let mut numbers =
        |n: usize, bound: f32| (0..n).map(|_| random.uniform(-bound, bound)).collect::<Vec<_>>();
    let frames = |numbers: Vec<f32>| Tensor::from_vec([n, 4, 1, 5], numbers).unwrap();
    Sample {
        x: frames(numbers(n * 20, 1.0)),
        next: frames(numbers(n * 20, 1.0)),
        actions: (0..n).map(|i| i * i % 3).collect(),
        rewards: numbers(n, 2.0),
        discounts: (0..n).map(|i| [0.9, 0.0, 0.81][i % 3]).collect(),
    }
}

#[test]
fn targets_are_those_of_the_definition_for_dqn_and_for_double_dqn() {
    for double in [false, true] {
        let mut agent = table(5, 3, DqnSettings { double, target_every: 100, ..settings() });
        // So that network and target network differ.
        (0..5).for_each(|i| assert!(agent.learn(&random_sample(40, i)).is_ok()));
        let sample = random_sample(50, 99);
        let [own, told] = [agent.net(), &agent.target].map(|net| net.infer(&sample.next).unwrap());
        let mut differ = 0;
        for (i, target) in agent.targets(&sample).unwrap().into_iter().enumerate() {
            let best = |values: &Tensor| {
                (0..3).max_by(|&a, &b| values.row(i)[a].total_cmp(&values.row(i)[b])).unwrap()
            };
            let later = told.row(i)[best(if double { &own } else { &told })];
            differ += usize::from(best(&own) != best(&told));
            assert_eq!(target, sample.rewards[i] + sample.discounts[i] * later);
        }
        assert!(differ > 3, "{differ}");
    }
}

#[test]
fn only_the_chosen_action_has_an_error_and_it_is_clipped() {
    let y = Tensor::from_vec([3, 2], vec![1.0, 5.0, -2.0, 0.25, 0.5, 3.0]).unwrap();
    let huber = Huber { delta: 1.0, ..Huber::default() };
    let (sum, dy) = error_of_chosen(huber, &y.into(), &[1, 0, 1], &[0.0, -2.5, 2.75], 6).unwrap();
    assert_eq!(sum, (5.0 - 0.5) + 0.5f64.powi(2) / 2.0 + 0.25f64.powi(2) / 2.0);
    let errors = [0.0, 1.0, 0.5, 0.0, 0.0, 0.25].map(|error: f32| error / 6.0);
    let dy = dy.into_iter().next().flatten().unwrap();
    assert!(dy.data().iter().zip(errors).all(|(a, b)| (a - b).abs() < 1e-7), "{dy:?}");
}

/// A corridor of five places: left and right; the right end pays 1 and ends the game, the left end pays 0.2 and ends it.
#[test]
fn the_values_of_a_corridor_are_those_of_value_iteration() {
    const PLACES: usize = 5;
    let go = |place: usize, action: usize| match (place, action) {
        (0, 0) => (None, 0.2),
        (4, 1) => (None, 1.0),
        (place, 0) => (Some(place - 1), 0.0),
        (place, _) => (Some(place + 1), 0.0),
    };
    let mut values = [[0.0f64; 2]; PLACES];
    for _ in 0..100 {
        let before = values;
        for (place, values) in values.iter_mut().enumerate() {
            for (action, value) in values.iter_mut().enumerate() {
                let (next, reward) = go(place, action);
                *value = reward + next.map_or(0.0, |next| 0.9 * before[next][0].max(before[next][1]));
            }
        }
    }
    let all: Vec<(usize, usize)> = (0..PLACES).flat_map(|place| [(place, 0), (place, 1)]).collect();
    let next: Vec<usize> = all.iter().map(|&(place, action)| go(place, action).0.unwrap_or(place)).collect();
    let sample = Sample {
        x: stacks(&all.iter().map(|pair| pair.0).collect::<Vec<_>>(), PLACES),
        next: stacks(&next, PLACES),
        actions: all.iter().map(|pair| pair.1).collect(),
        rewards: all.iter().map(|&(place, action)| go(place, action).1 as f32).collect(),
        discounts: all.iter().map(|&(place, action)| go(place, action).0.map_or(0.0, |_| 0.9)).collect(),
    };
    for double in [false, true] {
        let optimizer = Adam::default().into();
        let mut agent =
            table(PLACES, 2, DqnSettings { double, optimizer, learning_rate: 0.01, ..settings() });
        for _ in 0..2000 {
            agent.learn(&sample).unwrap();
        }
        let learned = agent.values(&stacks(&[0, 1, 2, 3, 4], PLACES)).unwrap();
        for (learned, value) in learned.data().iter().zip(values.as_flattened()) {
            assert!((f64::from(*learned) - value).abs() < 2e-3, "{learned:?} {values:?}");
        }
    }
}

#[test]
fn an_agent_restored_learns_on_with_the_same_bits() {
    let learned = |from: u64, to: u64, agent: &mut Dqn| {
        (from..to).for_each(|i| assert!(agent.learn(&random_sample(24, i)).is_ok()));
    };
    let rmsprop = DqnSettings { optimizer: DqnSettings::rmsprop_2015(), learning_rate: 0.01, ..settings() };
    let mut unbroken = table(5, 3, rmsprop.clone());
    learned(0, 30, &mut unbroken);
    // Between two renewals of the target network.
    let mut agent = table(5, 3, rmsprop.clone());
    learned(0, 17, &mut agent);
    let mut again = table(5, 3, rmsprop);
    again.restore(agent.updates(), agent.state().into_iter().collect()).unwrap();
    learned(17, 30, &mut again);
    assert_eq!((again.state(), again.updates()), (unbroken.state(), 30));

    let mut tensors: BTreeMap<_, _> = agent.state().into_iter().collect();
    tensors.remove("target.fc.bias");
    assert!(again.restore(17, tensors).unwrap_err().to_string().contains("fc.bias"));
    let mut tensors: BTreeMap<_, _> = agent.state().into_iter().collect();
    tensors.insert("zebra".into(), Tensor::zeros([1]));
    assert!(again.restore(17, tensors).unwrap_err().to_string().contains("zebra"));
}

#[test]
fn samples_that_do_not_fit_and_losses_that_are_not_finite_are_errors() {
    let mut agent = table(5, 3, settings());
    let mut message = |change: fn(&mut Sample)| {
        let mut sample = random_sample(6, 0);
        change(&mut sample);
        agent.learn(&sample).unwrap_err().to_string()
    };
    assert_eq!(message(|sample| sample.actions[2] = 3), "an action must be one of the network, got 3 of 3");
    assert!(
        message(|sample| sample.rewards.truncate(5))
            .starts_with("a sample must be of as many frames as actions")
    );
    assert!(message(|sample| sample.x = Tensor::zeros([6, 4, 1, 7])).contains("linear"));
    assert_eq!(
        message(|sample| sample.rewards[0] = f32::NAN),
        "the loss is NaN in update 1: lower the learning rate"
    );
    let refused = |settings: DqnSettings| settings.validate().unwrap_err().to_string();
    assert_eq!(refused(DqnSettings { batch: 0, ..settings() }), "the batch must be from 1 to 4096, got 0");
    assert!(
        refused(DqnSettings { discount: 1.5, ..settings() }).starts_with("the discount must be from 0 to 1")
    );
    assert!(refused(DqnSettings { returns: 65, ..settings() }).contains("from 1 to 64"));
    assert!(refused(DqnSettings { learning_rate: f32::NAN, ..settings() }).contains("above 0"));
    assert!(refused(DqnSettings { clip_error: 0.0, ..settings() }).contains("above 0"));
    assert!(refused(DqnSettings { target_every: 0, ..settings() }).contains("at least 1"));
}
