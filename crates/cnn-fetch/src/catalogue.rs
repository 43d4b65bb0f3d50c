//! The published data sets.
//!
//! Where the numbers are from:
//!
//! - **MNIST** and **Fashion-MNIST**: lengths and SHA-256 are those of the TensorFlow datasets' list of checksums
//!   (`url_checksums`), and belong to files whose MD5 torchvision lists (Fashion-MNIST's are also on its own page). All
//!   eight were computed here as well: from the published files or from files put together from the same compressed
//!   content. The SHA-256 of what they unpack to were computed from those.
//! - **CIFAR-10** and **CIFAR-100**: length and SHA-256 of the archives are those of the TensorFlow datasets' list. The
//!   data sets' own page gives MD5: c32a1d4ab5d03f1284b67883e8d87530 and 03b5dce01913d631647c71ecec9e9cb8. Nothing here
//!   has seen the archives themselves. The SHA-256 of CIFAR-10's files were computed from the files, whose pixels have
//!   the published means and deviations; those of CIFAR-100's files are not known here.

use super::{Content, PublishedFile, PublishedSet};

impl PublishedSet {
    /// The names that [`PublishedSet::named`] knows.
    pub const NAMES: [&str; 4] = ["mnist", "fashion-mnist", "cifar10", "cifar100"];

    /// A published data set.
    ///
    /// ```
    /// use cnn_fetch::PublishedSet;
    /// let set = PublishedSet::named("cifar100").expect("a name of PublishedSet::NAMES");
    /// assert_eq!((&*set.files[0].name, set.files[0].bytes), ("cifar-100-binary.tar.gz", 168_513_733));
    /// assert_eq!(PublishedSet::named("imagenet"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let (mirrors, files) = match name {
            "mnist" => (&MNIST_MIRRORS[..], idx(&MNIST)),
            "fashion-mnist" => (&FASHION_MIRRORS[..], idx(&FASHION)),
            "cifar10" => (&CIFAR_MIRRORS[..], vec![cifar10()]),
            "cifar100" => (&CIFAR_MIRRORS[..], vec![cifar100()]),
            _ => return None,
        };
        let mirrors = mirrors.iter().copied().map(String::from).collect();
        Some(Self { name: name.into(), mirrors, files })
    }
}

/// The first two are those of torchvision and of the TensorFlow datasets; the last, where MNIST was first published,
/// answers seldom.
const MNIST_MIRRORS: [&str; 3] = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
];

/// The authors' own, their repository, and Keras's.
const FASHION_MIRRORS: [&str; 3] = [
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
];

/// The author's own, under its two addresses.
const CIFAR_MIRRORS: [&str; 2] = ["https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"];

/// An IDX file: name without `.gz`, then bytes and SHA-256 as published, then bytes and SHA-256 unpacked.
type Idx = (&'static str, u64, &'static str, u64, &'static str);

#[rustfmt::skip]
const MNIST: [Idx; 4] = [
    (
        "train-images-idx3-ubyte",
        9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "train-labels-idx1-ubyte",
        28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "t10k-images-idx3-ubyte",
        1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "t10k-labels-idx1-ubyte",
        4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

#[rustfmt::skip]
const FASHION: [Idx; 4] = [
    (
        "train-images-idx3-ubyte",
        26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    (
        "train-labels-idx1-ubyte",
        29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    (
        "t10k-images-idx3-ubyte",
        4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    (
        "t10k-labels-idx1-ubyte",
        5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
];

fn idx(files: &[Idx]) -> Vec<PublishedFile> {
    let file = |&(name, bytes, sha256, unpacked_bytes, unpacked_sha256): &Idx| PublishedFile {
        name: format!("{name}.gz"),
        bytes,
        tolerance: 0,
        sha256: sha256.into(),
        content: vec![Content { path: name.into(), bytes: unpacked_bytes, sha256: unpacked_sha256.into() }],
    };
    files.iter().map(file).collect()
}

fn cifar10() -> PublishedFile {
    let content = |(name, sha256): (&str, &str)| Content {
        path: format!("cifar-10-batches-bin/{name}.bin"),
        bytes: 30_730_000,
        sha256: sha256.into(),
    };
    let files = [
        ("data_batch_1", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ("test_batch", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ];
    PublishedFile {
        name: "cifar-10-binary.tar.gz".into(),
        bytes: 170_052_171,
        tolerance: 0,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
        content: files.map(content).to_vec(),
    }
}

fn cifar100() -> PublishedFile {
    PublishedFile {
        name: "cifar-100-binary.tar.gz".into(),
        bytes: 168_513_733,
        tolerance: 0,
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec".into(),
        content: Vec::new(),
    }
}
