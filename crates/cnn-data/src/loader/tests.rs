use super::*;
use crate::transform::{HorizontalFlip, PcaLighting, Resize, Size};
use crate::{InMemoryDataset, Subset};
use proptest::prelude::*;
use std::sync::Mutex;

/// `n` one-pixel images: the pixel of image `i` is `i`, and so is its label.
fn numbered(n: u8) -> InMemoryDataset {
    let classes = (0..n).map(|i| i.to_string()).collect();
    InMemoryDataset::new([n.into(), 1, 1, 1], (0..n).collect(), (0..n.into()).collect(), classes).unwrap()
}

fn labels(loader: &Loader, epoch: usize, skip: usize) -> Vec<Vec<u32>> {
    loader.epoch(epoch, skip).map(|batch| batch.unwrap().labels().to_vec()).collect()
}

#[test]
fn an_epoch_is_every_example_once_with_its_own_label() {
    let loader = Loader::new(numbered(10), 4).unwrap().shuffle(7);
    assert_eq!((loader.examples(), loader.batches()), (10, 3));
    let mut seen = Vec::new();
    for batch in loader.epoch(0, 0) {
        let batch = batch.unwrap();
        let pixels: Vec<u32> = batch.inputs[0].data().iter().map(|x| (x * 255.0).round() as u32).collect();
        assert_eq!(pixels, batch.labels());
        seen.extend_from_slice(batch.labels());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

#[test]
fn the_order_depends_on_seed_and_epoch_alone() {
    let shuffled = |seed| Loader::new(numbered(50), 8).unwrap().shuffle(seed);
    assert_eq!(labels(&shuffled(1), 3, 0), labels(&shuffled(1), 3, 0));
    assert_ne!(labels(&shuffled(1), 3, 0), labels(&shuffled(1), 4, 0));
    assert_ne!(labels(&shuffled(1), 3, 0), labels(&shuffled(2), 3, 0));
}

/// Resuming a run of an earlier version must not change what it sees.
#[test]
fn the_order_is_stable() {
    let loader = Loader::new(numbered(8), 8).unwrap().shuffle(42);
    assert_eq!(labels(&loader, 1, 0), [[2, 0, 5, 4, 1, 6, 3, 7]]);
}

#[test]
fn skipping_leaves_out_the_first_batches() {
    let loader = Loader::new(numbered(10), 4).unwrap().shuffle(7);
    let all = labels(&loader, 2, 0);
    for skip in 0..=3 {
        assert_eq!(labels(&loader, 2, skip), all[skip..]);
    }
    assert!(labels(&loader, 2, usize::MAX).is_empty());
}

#[test]
fn without_shuffle_the_order_is_that_of_the_data() {
    let loader = Loader::new(numbered(5), 2).unwrap();
    assert_eq!(labels(&loader, 9, 0), [vec![0, 1], vec![2, 3], vec![4]]);
    assert_eq!(labels(&loader.clone().limit(3), 0, 0), [vec![0, 1], vec![2]]);
    assert_eq!(loader.clone().limit(100).examples(), 5);
    assert_eq!(loader.limit(0).batches(), 0);
    assert_eq!(labels(&Loader::new(numbered(5), usize::MAX).unwrap(), 0, 0), [[0, 1, 2, 3, 4]]);
}

/// Images of `side` x `side` noise, one byte of which says which it is; number `faulty` cannot be read.
#[derive(Debug)]
struct Noise {
    count: usize,
    side: usize,
    faulty: Option<usize>,
    classes: Vec<String>,
}

fn noise(count: usize) -> Noise {
    Noise { count, side: 5, faulty: None, classes: vec!["even".into(), "odd".into()] }
}

impl Dataset for Noise {
    fn len(&self) -> usize {
        self.count
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn label(&self, i: usize) -> u32 {
        i as u32 % 2
    }
    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        if self.faulty == Some(i) {
            return Err(DataError::Image {
                image: self.name(i),
                fault: "expected an image, got dust".into(),
            });
        }
        let mut picture = Picture::filled([3, self.side, self.side], 0);
        let mut random = Random::new(1, &[&i.to_string()]);
        picture.data_mut().iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        picture.data_mut()[0] = i as u8;
        Ok(picture)
    }
}

/// A transform that draws in both of its stages.
#[derive(Debug)]
struct Dice;

impl Transform for Dice {
    fn apply<'a>(&self, mut picture: Picture<'a>, random: &mut Random) -> Result<Picture<'a>, DataError> {
        picture.data_mut()[1] = random.below(256) as u8;
        Ok(picture)
    }
    fn finish(
        &self,
        x: &mut [f32],
        _: [usize; 3],
        _: &Normalize,
        random: &mut Random,
    ) -> Result<(), DataError> {
        x[2] = random.normal();
        Ok(())
    }
}

/// Everything about the batches of an epoch.
type Seen = Vec<(Vec<f32>, Vec<u32>, cnn_nn::Classes)>;

fn seen(loader: &Loader, epoch: usize, skip: usize) -> Seen {
    let batches = loader.epoch(epoch, skip).map(Result::unwrap);
    batches.map(|batch| (batch.inputs[0].data().to_vec(), batch.labels().to_vec(), batch.target)).collect()
}

proptest! {
    /// Neither workers nor a resumption change a bit of what is seen.
    #[test]
    fn workers_and_interruptions_change_nothing(
        (count, batch_size, workers, skip) in (0..40usize, 1..9usize, 1..5usize, 0..9usize),
        (epoch, seed, drop_last) in (0..3usize, any::<u64>(), any::<bool>()),
    ) {
        let loader = Loader::new(noise(count), batch_size).unwrap().shuffle(seed);
        let loader = loader.transform(Dice, seed).unwrap().mix(Mix::CutMix { alpha: 1.0 }).unwrap();
        let loader = if drop_last { loader.drop_last() } else { loader };
        let all = seen(&loader, epoch, 0);
        prop_assert_eq!(all.len(), loader.batches());
        prop_assert_eq!(all.iter().map(|(_, labels, _)| labels.len()).sum::<usize>(), loader.examples());
        prop_assert_eq!(&seen(&loader.workers(workers), epoch, skip)[..], &all[skip.min(all.len())..]);
    }

    /// The shares of all processes, one after the other, are the batches of one.
    #[test]
    fn shares_put_together_are_the_batches_of_one_process(
        (count, batch_size, world) in (0..40usize, 1..9usize, 1..6usize),
        (epoch, skip, workers) in (0..3usize, 0..3usize, 0..3usize),
        (mix, faulty, drop_last) in (0..3usize, prop::option::of(0..40usize), any::<bool>()),
    ) {
        let loader = Loader::new(Noise { faulty, ..noise(count) }, batch_size).unwrap().shuffle(3);
        let loader = loader.transform(Dice, 4).unwrap().on_fault(OnFault::skip(|_| {}));
        let loader = match [None, Some(Mix::Mixup { alpha: 0.5 }), Some(Mix::CutMix { alpha: 1.0 })][mix] {
            Some(mix) => loader.mix(mix).unwrap(),
            None => loader,
        };
        let loader = if drop_last { loader.drop_last() } else { loader };
        let shards: Result<Vec<_>, _> = (0..world).map(|rank| loader.clone().shard(rank, world)).collect();
        let Ok(shards) = shards else {
            prop_assert!(batch_size < world);
            return Ok(());
        };
        prop_assert!(batch_size >= world);
        let last = loader.examples() % batch_size;
        if last > 0 && last < world {
            for shard in shards {
                prop_assert!(shard.epoch(epoch, 0).next().unwrap().is_err());
            }
            return Ok(());
        }
        prop_assert_eq!(shards.iter().map(Loader::examples).sum::<usize>(), loader.examples());
        let mut shares: Vec<_> =
            shards.iter().map(|shard| shard.clone().workers(workers)).collect();
        let mut shares: Vec<_> = shares.iter_mut().map(|shard| shard.epoch(epoch, skip)).collect();
        for whole in loader.epoch(epoch, skip) {
            let whole = whole.unwrap();
            let (mut x, mut labels, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
            let mut seconds = Vec::new();
            for share in &mut shares {
                let share = share.next().unwrap().unwrap();
                x.extend_from_slice(share.inputs.first().map_or(&[], Tensor::data));
                labels.extend_from_slice(share.labels());
                if let cnn_nn::Classes::Mixed { second, share, .. } = &share.target {
                    seconds.extend(second.iter().map(|second| (*second, *share)));
                }
                sizes.push((share.first, share.labels().len()));
            }
            prop_assert_eq!(&x[..], whole.inputs.first().map_or(&[][..], Tensor::data));
            prop_assert_eq!(&labels[..], whole.labels());
            if let cnn_nn::Classes::Mixed { second, share, .. } = &whole.target {
                prop_assert_eq!(seconds, second.iter().map(|second| (*second, *share)).collect::<Vec<_>>());
            }
            if faulty.is_none() {
                let starts: Vec<usize> = sizes.iter().scan(0, |start, (_, size)| {
                    let before = *start;
                    *start += size;
                    Some(before)
                }).collect();
                prop_assert_eq!(starts, sizes.iter().map(|(first, _)| *first).collect::<Vec<_>>());
                let (least, most) = (sizes.iter().map(|s| s.1).min(), sizes.iter().map(|s| s.1).max());
                prop_assert!(least > Some(0) && most <= least.map(|least| least + 1), "{:?}", sizes);
            }
        }
        for share in &mut shares {
            prop_assert!(share.next().is_none());
        }
    }
}

/// An epoch would otherwise fail at its end.
#[test]
fn a_last_batch_with_too_few_examples_for_all_processes_is_said_at_once() {
    let loader = Loader::new(numbered(9), 4).unwrap().shard(1, 2).unwrap();
    let message = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    let want = "the size of the last batch must be at least 2, one example for each process, or left out \
                (`drop_last`), got 1";
    assert_eq!(message, want);
    assert_eq!(loader.epoch(0, 3).count(), 0);
    let loader = loader.drop_last();
    assert_eq!((labels(&loader, 0, 0), loader.examples()), (vec![vec![2, 3], vec![6, 7]], 4));
    // Of a size that a product with the rank would not fit in.
    let loader = Loader::new(numbered(9), usize::MAX).unwrap().shard(2, 3).unwrap();
    assert_eq!((labels(&loader, 0, 0), loader.examples()), (vec![vec![6, 7, 8]], 3));
}

/// The neighbour of a share's first image is another process's, and must have its shape.
#[test]
fn mixed_images_of_two_processes_have_one_size() {
    let loader =
        Loader::new(Growing, 2).unwrap().mix(Mix::Mixup { alpha: 1.0 }).unwrap().shard(1, 2).unwrap();
    let message = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    let want = "image 0: expected shape [1, 2, 3] like image 1 of the same batch, got [1, 2, 2]: resize or crop the \
                images to one size";
    assert_eq!(message, want);
}

#[test]
fn what_is_drawn_belongs_to_the_example_not_to_its_place() {
    let shuffled = Loader::new(noise(20), 7).unwrap().shuffle(5).transform(Dice, 9).unwrap();
    let plain = Loader::new(noise(20), 3).unwrap().transform(Dice, 9).unwrap();
    let images = |loader: &Loader, epoch| {
        let mut images: Vec<Vec<f32>> =
            seen(loader, epoch, 0).iter().flat_map(|(x, ..)| x.chunks(75).map(<[f32]>::to_vec)).collect();
        images.sort_by(|a, b| a[0].total_cmp(&b[0]));
        images
    };
    assert_eq!(images(&shuffled, 4), images(&plain, 4));
    assert_ne!(images(&plain, 4), images(&plain, 5), "each epoch draws anew");
    let other = Loader::new(noise(20), 3).unwrap().transform(Dice, 10).unwrap();
    assert_ne!(images(&plain, 4), images(&other, 4), "and so does each seed");
}

/// Only half of the images drawn are flipped, and the next epoch flips others.
#[test]
fn transforms_reach_the_batch() {
    let loader = Loader::new(noise(64), 64).unwrap().transform(HorizontalFlip::default(), 0).unwrap();
    let plain = Loader::new(noise(64), 64).unwrap();
    let changed = |epoch| {
        let (after, before) = (seen(&loader, epoch, 0), seen(&plain, 0, 0));
        let pairs = after[0].0.chunks(75).zip(before[0].0.chunks(75));
        pairs.map(|(after, before)| after != before).collect::<Vec<_>>()
    };
    assert!((16..48).contains(&changed(0).iter().filter(|&&flipped| flipped).count()));
    assert_ne!(changed(0), changed(1));
}

#[test]
fn a_faulty_example_stops_the_run_or_is_left_out_and_told_once() {
    for workers in [0, 2] {
        let faulty = || Noise { faulty: Some(6), ..noise(10) };
        let loader = Loader::new(faulty(), 4).unwrap().workers(workers);
        let results: Vec<_> = loader.epoch(0, 0).collect();
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let message = results[1].as_ref().unwrap_err().to_string();
        assert_eq!(message, "image 6: expected an image, got dust");

        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = told.clone();
        let on_fault = OnFault::skip(move |line| hear.lock().unwrap().push(line.to_string()));
        let loader = loader.on_fault(on_fault);
        for epoch in 0..3 {
            let sizes: Vec<usize> =
                seen(&loader, epoch, 0).iter().map(|(_, labels, _)| labels.len()).collect();
            assert_eq!(sizes, [4, 3, 2]);
        }
        assert_eq!(*told.lock().unwrap(), std::slice::from_ref(&message));
        assert_eq!(loader.faults(), [message]);
        // Left out, and the others are in their places.
        let x = &seen(&loader, 0, 1)[0].0;
        let numbers: Vec<f32> = x.chunks(75).map(|image| (image[0] * 255.0).round()).collect();
        assert_eq!(numbers, [4.0, 5.0, 7.0]);
    }
}

#[test]
fn a_batch_of_faulty_examples_is_an_empty_one() {
    let faulty = Noise { faulty: Some(1), ..noise(3) };
    let loader = Loader::new(faulty, 1).unwrap().on_fault(OnFault::skip(|_| {}));
    let loader = loader.mix(Mix::Mixup { alpha: 1.0 }).unwrap();
    let sizes: Vec<usize> = seen(&loader, 0, 0).iter().map(|(_, labels, _)| labels.len()).collect();
    assert_eq!(sizes, [1, 0, 1]);
}

/// The second image is larger than the first.
struct Growing;
impl Dataset for Growing {
    fn len(&self) -> usize {
        2
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn label(&self, _: usize) -> u32 {
        0
    }
    fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        Ok(Picture::filled([1, 2, 2 + i], 0))
    }
}

#[test]
fn images_of_one_batch_have_one_size() {
    let message = Loader::new(Growing, 2).unwrap().epoch(0, 0).next().unwrap().unwrap_err().to_string();
    let want = "image 1: expected shape [1, 2, 2] like image 0 of the same batch, got [1, 2, 3]: resize or crop the \
                images to one size";
    assert_eq!(message, want);
    assert_eq!(Loader::new(Growing, 1).unwrap().epoch(0, 0).count(), 2);
}

#[test]
fn channels_become_those_of_the_normalisation() {
    let gray = Normalize::new(&[0.0], &[1.0]).unwrap();
    let loader = Loader::new(noise(1), 1).unwrap().normalize(gray);
    assert_eq!(loader.epoch(0, 0).next().unwrap().unwrap().inputs[0].shape().dims(), [1, 1, 5, 5]);
    let colour = Normalize::new(&[0.5; 3], &[0.5; 3]).unwrap();
    let loader = Loader::new(numbered(1), 1).unwrap().normalize(colour);
    assert_eq!(loader.epoch(0, 0).next().unwrap().unwrap().inputs[0].data(), [-1.0; 3]);
    let five = Normalize::new(&[0.5; 5], &[0.5; 5]).unwrap();
    let loader = Loader::new(numbered(1), 1).unwrap().normalize(five);
    let message = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    assert_eq!(message, "image 0: channels must be 5, got 1");
}

/// A pipeline of fixed steps has no streams of its own, and gives what its steps give.
#[test]
fn steps_that_draw_nothing_are_applied_as_they_are() {
    let resize = || Resize::new(Size::Exact([2, 3]));
    let loader = Loader::new(noise(5), 2).unwrap().shuffle(1);
    let loader = loader.transform(Pipeline::new([resize().into()]).unwrap(), 7).unwrap();
    for batch in loader.epoch(0, 0).map(Result::unwrap) {
        assert_eq!(batch.inputs[0].shape().dims()[1..], [3, 2, 3]);
        for (x, &label) in batch.inputs[0].data().chunks(18).zip(batch.labels()) {
            // Labels are the numbers' parities: two or three examples each.
            let own = (0..5).filter(|i| i % 2 == label as usize).any(|i| {
                let picture = resize()
                    .apply(noise(5).picture(i).unwrap().into_owned(), &mut Random::new(0, &[]))
                    .unwrap();
                picture.data().iter().zip(x).all(|(&byte, &x)| f32::from(byte) * (1.0 / 255.0) == x)
            });
            assert!(own, "no image of class {label} is {x:?}");
        }
    }
}

#[test]
fn a_fault_after_normalisation_names_its_example() {
    let loader = Loader::new(numbered(3), 3).unwrap().transform(PcaLighting::default(), 0).unwrap();
    let message = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    assert_eq!(message, "image 0: an image for a PCA lighting must be one of 3 channels, got 1");
}

/// Each view of an image has what its transforms drew, at the same place.
#[test]
fn crops_share_what_is_drawn_for_their_image() {
    let loader =
        Loader::new(noise(2), 2).unwrap().transform(Dice, 3).unwrap().crops(Crops::Five { size: [5, 5] });
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    let views: Vec<&[f32]> = batch.inputs[0].data().chunks(75).collect();
    assert!(
        views[..5].iter().all(|view| view == &views[0]) && views[5..].iter().all(|view| view == &views[5])
    );
    assert_ne!(views[0][2], views[5][2]);
}

#[test]
fn crops_are_views_of_one_example() {
    let loader = Loader::new(noise(3), 2).unwrap().crops(Crops::Ten { size: [2, 3] });
    let batches: Vec<_> = loader.epoch(0, 0).map(Result::unwrap).collect();
    assert_eq!(batches[0].inputs[0].shape().dims(), [20, 3, 2, 3]);
    assert_eq!((batches[0].views, batches[0].labels()), (10, &[0, 1][..]));
    assert_eq!(batches[0].checked_size().unwrap(), 2);
    assert_eq!(batches[1].inputs[0].shape().dims(), [10, 3, 2, 3]);
    let message = Loader::new(noise(3), 2).unwrap().crops(Crops::Five { size: [9, 9] });
    let message = message.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    assert_eq!(message, "image 0: the crops must be from 1x1 to 5x5, the size of the image, got 9x9");
}

/// An epoch that nobody takes to its end leaves no thread behind, and a panic of a worker is not swallowed.
#[test]
fn workers_end_with_their_epoch() {
    let loader = Loader::new(noise(1000), 1).unwrap().workers(3);
    for _ in 0..20 {
        assert!(loader.epoch(0, 0).next().unwrap().is_ok());
    }
    let examples = Arc::downgrade(&loader.examples);
    drop(loader);
    let start = std::time::Instant::now();
    while examples.strong_count() > 0 {
        assert!(start.elapsed().as_secs() < 20, "a worker still holds the examples");
        std::thread::yield_now();
    }
    #[derive(Debug)]
    struct Broken;
    impl Transform for Broken {
        fn apply<'a>(&self, _: Picture<'a>, _: &mut Random) -> Result<Picture<'a>, DataError> {
            panic!("a transform with a bug")
        }
    }
    let loader = Loader::new(noise(4), 1).unwrap().transform(Broken, 0).unwrap().workers(2);
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loader.epoch(0, 0).count())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a transform with a bug"));
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let error = Loader::new(numbered(5), 0).err().unwrap();
    assert_eq!(error.to_string(), "batch size must be at least 1, got 0");
    let loader = Loader::new(numbered(5), 1).unwrap();
    let error = loader.clone().shard(2, 2).err().unwrap();
    assert_eq!(error.to_string(), "the rank must be below 2, the number of processes, got 2");
    let error = loader.clone().shard(0, 2).err().unwrap();
    assert_eq!(error.to_string(), "the batch size must be at least 2, one example for each process, got 1");
    assert!(loader.clone().mix(Mix::Mixup { alpha: -1.0 }).is_err());
    assert!(loader.transform(HorizontalFlip { p: 2.0 }, 0).is_err());
    let subset = Subset::new(numbered(5), vec![4, 4]).unwrap();
    assert_eq!(labels(&Loader::new(subset, 9).unwrap(), 0, 0), [[4, 4]]);
}
