use super::*;
use crate::spec::linear;
use crate::{Batch, Batches, Classify, Graph, Observer, Outcome, StepReport, TrainSettings, Trainer};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Points of the plane in 4 batches; above the diagonal or below it.
struct Points;

impl Batches for Points {
    fn examples(&self) -> usize {
        16
    }

    fn batches(&self) -> usize {
        4
    }

    fn epoch(&self, epoch: usize, skip: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
        let batches = (0..4).map(move |batch| {
            let x = cnn_tensor::testing::distinct([4, 2], (7 * epoch + batch) as u64);
            let labels: Vec<u32> = x.data().chunks(2).map(|point| u32::from(point[0] < point[1])).collect();
            Ok(Batch::new(x, labels))
        });
        Box::new(batches.skip(skip))
    }
}

fn settings() -> TrainSettings {
    TrainSettings { epochs: 3, learning_rate: 0.1, ..TrainSettings::default() }
}

fn trainer() -> Trainer {
    let net = Graph::build([linear(2).named("fc")], [2], 1).unwrap();
    Trainer::new(net, Classify::default(), settings()).unwrap()
}

fn keeper(folder: &RunFolder) -> Keeper<'_, String> {
    Keeper::new(folder, "points".into()).best(Best::lowest("loss")).held_out("validation")
}

/// Asks a keeper to stop at a step.
struct StopAt<'a>(usize, &'a AtomicBool, Keeper<'a, String>);

impl Observer for StopAt<'_> {
    fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
        self.1.store(trainer.progress().epoch * 4 + trainer.progress().step == self.0, Ordering::Relaxed);
        self.2.step(trainer, report)
    }

    fn epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
        self.2.epoch(trainer, report)
    }
}

/// The contents of a file, and of metrics.csv without the seconds.
fn contents(folder: &RunFolder) -> (Vec<u8>, Vec<String>) {
    let metrics = std::fs::read_to_string(folder.file(METRICS)).unwrap();
    let lines = metrics.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect();
    (std::fs::read(folder.file(BEST)).unwrap(), lines)
}

#[test]
fn a_run_stopped_at_any_step_ends_as_an_unbroken_one() {
    let parent = tempfile::tempdir().unwrap();
    let whole = RunFolder::open(parent.path().join("whole")).unwrap();
    let mut unbroken = trainer();
    unbroken.fit(&Points, &Points, &mut keeper(&whole)).unwrap();
    for step in [1, 3, 4, 6, 11] {
        let folder = RunFolder::open(parent.path().join(step.to_string())).unwrap();
        let stop = AtomicBool::new(false);
        let mut watched = StopAt(step, &stop, keeper(&folder).stop_on(&stop));
        assert_eq!(trainer().fit(&Points, &Points, &mut watched).unwrap(), Outcome::Stopped);
        drop(watched);
        let (state, tensors) = folder.load::<String>().unwrap().unwrap();
        assert_eq!(state.config, "points");
        assert_eq!(state.progress.epoch * 4 + state.progress.step, step);
        assert_eq!(state.times.examples, 4 * step);
        let (mut again, mut keeper) = (trainer(), keeper(&folder));
        keeper.resume(state, tensors, &mut again).unwrap();
        assert_eq!(again.fit(&Points, &Points, &mut keeper).unwrap(), Outcome::Finished);
        assert_eq!(keeper.times().examples, 48);
        assert_eq!(again.net().tensors(), unbroken.net().tensors());
        assert_eq!(contents(&folder), contents(&whole));
    }
}

#[test]
fn the_best_epoch_is_kept_and_a_later_worse_one_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(parent.path()).unwrap();
    let mut trainer = trainer();
    let mut nets = Vec::new();
    struct Nets<'a>(Keeper<'a, String>, &'a mut Vec<Graph>);
    impl Observer for Nets<'_> {
        fn epoch(&mut self, trainer: &Trainer, report: &EpochReport) -> Result<ControlFlow<()>, NnError> {
            self.1.push(trainer.net().copy()?);
            self.0.epoch(trainer, report)
        }
    }
    // The loss falls, so by the highest one the first epoch is the best.
    let best = Best::highest("loss");
    trainer.fit(&Points, &Points, &mut Nets(keeper(&folder).best(best.clone()), &mut nets)).unwrap();
    let (best, _) = best.of(&trainer.progress().history).unwrap();
    assert_eq!(best.epoch, 1);
    let kept = Graph::load(folder.file(BEST)).unwrap();
    assert_eq!(kept.tensors(), nets[best.epoch - 1].tensors());
}

#[test]
fn checkpoints_are_written_within_an_epoch_as_often_as_is_asked() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(parent.path()).unwrap();
    struct Stop<'a>(Keeper<'a, String>);
    impl Observer for Stop<'_> {
        fn step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<ControlFlow<()>, NnError> {
            let _ = self.0.step(trainer, report)?;
            Ok(if trainer.progress().step == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }
    }
    trainer().fit(&Points, &Points, &mut Stop(keeper(&folder).every(Duration::ZERO))).unwrap();
    assert_eq!(folder.load::<String>().unwrap().unwrap().0.progress.step, 2);
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_an_error_and_stays() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(parent.path()).unwrap();
    assert!(folder.load::<String>().unwrap().is_none());
    trainer().fit(&Points, &Points, &mut keeper(&folder)).unwrap();
    let whole = std::fs::read(folder.checkpoint()).unwrap();
    let refuse = |contents: &[u8]| {
        std::fs::write(folder.checkpoint(), contents).unwrap();
        let message = folder.load::<String>().unwrap_err().to_string();
        assert!(message.starts_with(&folder.checkpoint().display().to_string()), "{message}");
        assert_eq!(std::fs::read(folder.checkpoint()).unwrap(), contents);
        message
    };
    refuse(&whole[..whole.len() / 2]);
    refuse(b"");
    checkpoint::save(&folder.checkpoint(), r#"{"config": "points", "future": 1}"#, &[]).unwrap();
    let message = refuse(&std::fs::read(folder.checkpoint()).unwrap());
    assert!(message.contains("unknown field `future`"), "{message}");
    // Another program's configuration.
    std::fs::write(folder.checkpoint(), &whole).unwrap();
    assert!(folder.load::<usize>().unwrap_err().to_string().contains("invalid type"));
    folder.clear().unwrap();
    assert!(folder.load::<String>().unwrap().is_none() && !folder.file(METRICS).exists());
    assert!(folder.file(BEST).exists());
}

#[test]
fn one_process_at_a_time_uses_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let folder = RunFolder::open(&path).unwrap();
    std::fs::write(path.join(".unfinished-xyz"), b"half").unwrap();
    let message = RunFolder::open(&path).unwrap_err().to_string();
    let fault = "expected a folder that no run is using, but another process has locked it";
    assert_eq!(message, format!("{}: {fault}", path.display()));
    assert!(path.join(".unfinished-xyz").exists(), "it may be the other's");
    drop(folder);
    RunFolder::open(&path).unwrap();
    assert!(!path.join(".unfinished-xyz").exists());
    let message = RunFolder::open(path.join(FolderLock::NAME)).unwrap_err().to_string();
    assert!(message.contains("cannot make a folder to write to"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_configuration_that_cannot_be_written_is_an_error_and_not_an_empty_one() {
    use std::os::unix::ffi::OsStringExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(parent.path()).unwrap();
    let config = PathBuf::from(std::ffi::OsString::from_vec(vec![0xff]));
    let state =
        RunState { config, data: BTreeMap::new(), progress: Progress::default(), times: RunTimes::default() };
    let message = folder.save(&state, &[]).unwrap_err().to_string();
    assert!(message.contains("the configuration: path contains invalid UTF-8"), "{message}");
    assert!(folder.load::<PathBuf>().unwrap().is_none());
}
