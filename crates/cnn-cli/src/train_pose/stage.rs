//! One stage of a cascade: a training run in a folder of its own.

use super::config::{Config, StageConfig};
use super::console::Console;
use super::{Args, People};
use crate::fault::{Fault, note};
use crate::interrupt;
use crate::train::differences;
use crate::weights;
use cnn::pose::Look;
use cnn_data::pose::{Aim, LSP, PoseLoader, PoseSet};
use cnn_nn::{
    At, Batches, Keeper, Kept, MaskedRegress, Model, Origin, Outcome, RunFolder, RunState, Trainer,
};
use cnn_ops::SmoothL1;
use cnn_report as pictures;
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use cnn_zoo::Beginning;
use std::collections::BTreeMap;

/// The task of all stages.
pub type Joints = MaskedRegress<SmoothL1>;

/// Where a run goes on.
type Resumed = (RunState<Config>, BTreeMap<String, Tensor>);

/// Trains stage `i`, from 0; later ones begin with the weights of the stage `before` them, and learn from its `errors`. A stage that
/// has come to its end is only loaded.
pub fn train(
    i: usize,
    before: Option<&Model>,
    errors: &[Vec<[f32; 2]>],
    config: &Config,
    args: &Args,
    data: &People,
    parent: &RunFolder,
) -> Result<Model, Fault> {
    let of_stage = &config.stages[i];
    let folder = open(parent, i)?;
    let resumed = if args.resume { resume(&folder, config)? } else { None };
    let fingerprints = BTreeMap::from([
        ("training".to_string(), data.train.fingerprint()),
        ("validation".to_string(), data.validation.fingerprint()),
    ]);
    if let Some((state, _)) = &resumed {
        check_data(state, &fingerprints)?;
    }
    let Beginning { mut model, notes, .. } = begin(i, config)?;
    // It knows all joints already, if only from afar. A linear layer on maps of another size fits no other input.
    if let Some(before) = before.filter(|before| before.net.parameter_count() == model.net.parameter_count())
    {
        model = Model::from_tensors(model.spec, before.net.tensors().into_iter().collect())?;
    }
    // Of the same file, they are the same for each stage.
    if let Some(file) = config.weights().filter(|_| i == 0) {
        notes.iter().for_each(|line| note(format!("{}: {line}", file.display())));
    }
    let spec = model.spec;
    let settings = of_stage.settings(&model.net, config.weights().is_some());
    let task = Joints { loss: SmoothL1 { beta: config.beta, ..SmoothL1::default() } };
    let mut trainer = Trainer::new(model.net, task, settings)?;
    let mut keeper = Keeper::new(&folder, config.clone()).data(fingerprints).held_out("validation");
    keeper = keeper.stop_on(interrupt::flag());
    let progress = resumed.as_ref().map(|(state, _)| state.progress.clone());
    if let Some((state, tensors)) = resumed {
        keeper.resume(state, tensors, &mut trainer)?;
    }
    let aim = aim(of_stage, errors, config.zoom());
    let load = |set: &PoseSet| PoseLoader::new(set.clone(), &spec.input, aim.clone(), of_stage.batch_size);
    // Each stage has an order and views of its own.
    let seed = config.seed.wrapping_add(i as u64);
    let batches = load(&data.train)?.shuffle(seed).augment(of_stage.augment, seed)?.workers(args.workers);
    let mut console = Console::new(i + 1, config, keeper, batches.examples());
    if let Some(progress) = &progress {
        console.resume(progress);
    }
    let parameters = trainer.net().parameter_count();
    console.start(&format!(
        "stage {}: {parameters} parameters, {} views of {} pixels in an epoch",
        i + 1,
        batches.examples(),
        of_stage.side
    ));
    if trainer.fit(&batches, &load(&data.validation)?, &mut console)? == Outcome::Stopped {
        return Err(Fault::interrupted(format!(
            "interrupted in epoch {} of {} of stage {}; everything is saved in {}, add --resume to go on",
            trainer.progress().epoch + 1,
            of_stage.training.epochs,
            i + 1,
            parent.path().display()
        )));
    }
    console.finish();
    let history = trainer.progress().history.clone();
    let title = format!("Training: {}, stage {}", config.network.title, i + 1);
    write_atomically(&folder.file("curves.png"), &pictures::curves(&title, &history, "validation")?)?;
    let model = Model { spec, net: trainer.into_net() };
    model.save(folder.file(MODEL))?;
    Ok(model)
}

/// A stage's own weights.
const MODEL: &str = "model.safetensors";

/// The folder of stage `i`, from 0, within that of the run.
fn open(parent: &RunFolder, i: usize) -> Result<RunFolder, Fault> {
    Ok(RunFolder::open(parent.file(&format!("stage{}", i + 1)))?)
}

/// Removes what an earlier run left in the folder of a stage.
pub fn clear(parent: &RunFolder, i: usize) -> Result<(), Fault> {
    let folder = open(parent, i)?;
    folder.clear()?;
    Ok(folder.remove(MODEL)?)
}

/// The network of a stage before its first step.
pub fn begin(i: usize, config: &Config) -> Result<Beginning, Fault> {
    let of_stage = &config.stages[i];
    let input = config.network.input().unwrap_or_else(cnn_zoo::imagenet_input);
    let spec = (config.network.spec)(input.with_size([of_stage.side; 2]), LSP.outputs());
    // Each stage has fresh layers of its own.
    let seed = config.seed.wrapping_add(i as u64);
    match config.weights() {
        None => {
            let model = Model::build(spec, seed)?;
            Ok(Beginning { model, origin: Origin::default(), notes: Vec::new() })
        }
        Some(file) => Ok(weights::read(&file, false, &[])?.begin_trunk(spec, seed)?),
    }
}

fn aim(of_stage: &StageConfig, errors: &[Vec<[f32; 2]>], zoom: f64) -> Aim {
    match of_stage.look {
        Look::Person { zoom } => Aim::Person { zoom },
        Look::Joint { size } => Aim::Joint { zoom, size, errors: errors.to_vec(), each: of_stage.each },
    }
}

/// Checks that the network of a stage can be built, and that it can learn from the last batch of an epoch: batch normalisation
/// learns nothing from a single view. With a published trunk its statistics are held, and any batch will do.
pub fn check_last_batch(i: usize, config: &Config, people: usize) -> Result<(), Fault> {
    let (of_stage, net) = (&config.stages[i], begin(i, config)?.model.net);
    let (views, batch) = (people * of_stage.each, of_stage.batch_size);
    let is_single = batch == 1 || views % batch == 1;
    if config.weights().is_some() || !is_single {
        return Ok(());
    }
    let one = Tensor::zeros([1, 3, of_stage.side, of_stage.side]);
    net.forward_one(one, At::default(), &mut Kept::default()).map(|_| ()).map_err(|fault| {
        Fault::usage(format!(
            "stage {}: the network cannot learn from one view alone, as the last batch of {views} views by {batch} would be \
             ({fault}): choose another --batch-size",
            i + 1
        ))
    })
}

/// Checks that the folder of a stage holds no run, which a new one would replace; or that the run in it can go on.
pub fn check_folder(parent: &RunFolder, i: usize, config: &Config, args: &Args) -> Result<(), Fault> {
    let folder = open(parent, i)?;
    if args.resume {
        return resume(&folder, config).map(|_| ());
    }
    if args.overwrite || !folder.checkpoint().exists() {
        return Ok(());
    }
    Err(Fault::usage(format!(
        "{} holds a run: add --resume to go on with it, --overwrite to start over, or name another folder with --out",
        parent.path().display()
    )))
}

/// Where the run of a stage goes on; `None` if it has not begun.
fn resume(folder: &RunFolder, config: &Config) -> Result<Option<Resumed>, Fault> {
    let Some((state, tensors)) = folder.load::<Config>()? else { return Ok(None) };
    // A newer program goes on with the run of an older one, and paths are no part of what a run is.
    let mut saved = state.config.with_paths_of(config);
    saved.version.clone_from(&config.version);
    if saved != *config {
        return Err(Fault::usage(format!(
            "--resume: the run in {} was started with {}; give it the options of its first command, or start a new run",
            folder.path().display(),
            differences(&saved, config)
        )));
    }
    Ok(Some((state, tensors)))
}

/// Checks that the data are those that the run began with.
fn check_data(
    state: &RunState<Config>,
    fingerprints: &BTreeMap<String, cnn_nn::Fingerprint>,
) -> Result<(), Fault> {
    for (part, before) in &state.data {
        if let Some(difference) = fingerprints.get(part).and_then(|now| before.difference(now)) {
            let message =
                format!("--resume: the {part} data are not those that the run began with: {difference}");
            return Err(Fault { status: 1, message });
        }
    }
    Ok(())
}
