//! Pictures with the joints of people.

use super::table::{self, Row, listed};
use super::{Skeleton, View};
use crate::files::Listing;
use crate::files::name;
use crate::{DataError, Dataset, ImageFiles, Picture};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A joint of a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joint {
    /// In pixels from the left border of the picture.
    pub x: f32,
    /// In pixels from the upper border.
    pub y: f32,
    /// Whether it can be seen. Others count in neither loss nor scores, and their place may be any.
    pub visible: bool,
}

/// A rectangle around a person, in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct PersonBox {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl PersonBox {
    /// The whole of a picture of that width and height.
    pub fn whole([width, height]: [usize; 2]) -> Self {
        Self { x: 0.0, y: 0.0, width: width as f64, height: height as f64 }
    }
}

/// A person: joints in the order of the skeleton, and a box around them.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The joints.
    pub joints: Vec<Joint>,
    /// The box.
    pub bounds: PersonBox,
}

impl Person {
    /// The places of the joints, `[x, y]`.
    pub fn places(&self) -> Vec<[f32; 2]> {
        self.joints.iter().map(|joint| [joint.x, joint.y]).collect()
    }

    /// Whether each joint can be seen.
    pub fn visible(&self) -> Vec<bool> {
        self.joints.iter().map(|joint| joint.visible).collect()
    }
}

/// Pictures, and a person in each. A picture may be there several times, with another person each time.
///
/// ```
/// use cnn_data::pose::{LSP, PoseSet};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// # std::fs::create_dir(folder.join("people")).expect("a folder");
/// # image::GrayImage::new(30, 40).save(folder.join("people/a.png")).expect("a file");
/// # let joints = LSP.joints.iter().map(|name| format!(",{name}_x,{name}_y,{name}_v")).collect::<String>();
/// # let text = format!("image,width,height{joints}\na.png,30,40{}\n", ",12.5,20,1".repeat(14));
/// # std::fs::write(folder.join("people.csv"), text).expect("a file");
/// // people.csv, and people/a.png or a.png in people.tar
/// let set = PoseSet::beside(folder.join("people.csv"), &LSP)?;
/// assert_eq!((set.len(), set.person(0).joints[3].x), (1, 12.5));
/// assert_eq!(set.picture(0)?.shape(), [1, 40, 30]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct PoseSet {
    skeleton: &'static Skeleton,
    images: Arc<dyn Dataset>,
    /// The image of each person.
    indices: Arc<[usize]>,
    people: Arc<[Person]>,
    /// Width and height of each person's picture, where a table says them.
    sizes: Option<Arc<[[usize; 2]]>>,
}

impl PoseSet {
    /// The people of the table in a file whose images lie beside it: of `people.csv` in the archive `people.tar`, in the folder
    /// `people`, or in a folder `images`.
    ///
    /// The first line names the columns, in any order: `image`, `width`, `height`; `JOINT_x`, `JOINT_y` and `JOINT_v` for each joint of
    /// the skeleton, `v` being 1 for a joint that can be seen and 0 for others; and, if the table has them, `box_x`, `box_y`,
    /// `box_width` and `box_height`, the person's box, which otherwise is the whole image. Other columns are passed over.
    ///
    /// # Errors
    /// The table lacks a column, or has a value that it cannot have; a visible joint lies outside of its image; an image is not there.
    /// The error says how many, and names the first three.
    pub fn beside(table: impl AsRef<Path>, skeleton: &'static Skeleton) -> Result<Self, DataError> {
        let table = table.as_ref();
        let stem = table.with_extension("");
        let mut places = vec![table.with_extension("tar"), table.with_file_name("images")];
        if stem != table {
            places.insert(1, stem);
        }
        let Some(images) = places.iter().find(|place| place.exists()) else {
            let expected = format!(
                "its images in {}",
                places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" or ")
            );
            return Err(DataError::layout(table, expected, "none of them"));
        };
        Self::read(table, images, skeleton)
    }

    /// As [`PoseSet::beside`], with images in another folder or archive. An image is found by its path there, or else by its file
    /// name if no other image has it.
    ///
    /// # Errors
    /// Those of [`PoseSet::beside`].
    pub fn read(
        table: impl AsRef<Path>,
        images: impl AsRef<Path>,
        skeleton: &'static Skeleton,
    ) -> Result<Self, DataError> {
        let table = table.as_ref();
        let bytes = crate::decode::read(table)?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to() as u64;
            DataError::format(table, at, "a table in UTF-8", "a byte that is not")
        })?;
        let rows = table::read(table, &text, skeleton)?;
        let listing = Listing::open(images.as_ref())?;
        let found = find(&listing, &rows).map_err(|absent| {
            let expected = format!("the images that {} names", table.display());
            let got = format!("{} that are not there: {}", absent.len(), listed(&absent));
            DataError::layout(&listing.place(), expected, got)
        })?;
        let labels = vec![0; listing.items.len()];
        let files = ImageFiles::new(&listing, listing.items.clone(), labels, vec![String::new()]);
        let sizes = rows.iter().map(|row| row.size).collect();
        let people = rows.into_iter().map(|row| row.person).collect();
        Ok(Self { skeleton, images: Arc::new(files), indices: found.into(), people, sizes: Some(sizes) })
    }

    /// Pictures of any origin with a person in each.
    ///
    /// # Errors
    /// There are more or fewer people than pictures, or one has another number of joints than the skeleton.
    pub fn new(
        images: impl Dataset + 'static,
        people: Vec<Person>,
        skeleton: &'static Skeleton,
    ) -> Result<Self, DataError> {
        let fault =
            |what, rule: String, got: usize| Err(DataError::Setting { what, rule, got: got.to_string() });
        if people.len() != images.len() {
            return fault("people", format!("{}, one for each picture", images.len()), people.len());
        }
        let joints = skeleton.joints.len();
        if let Some(other) = people.iter().find(|person| person.joints.len() != joints) {
            return fault("the joints of a person", joints.to_string(), other.joints.len());
        }
        let indices = (0..images.len()).collect();
        Ok(Self { skeleton, images: Arc::new(images), indices, people: people.into(), sizes: None })
    }

    /// Some of the people, in an order of their own.
    ///
    /// # Panics
    /// There is no person of one of the numbers.
    #[must_use]
    pub fn subset(&self, numbers: &[usize]) -> Self {
        Self {
            indices: numbers.iter().map(|&i| self.indices[i]).collect(),
            people: numbers.iter().map(|&i| self.people[i].clone()).collect(),
            sizes: self.sizes.as_ref().map(|sizes| numbers.iter().map(|&i| sizes[i]).collect()),
            ..self.clone()
        }
    }

    /// The number of people.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The joints that the set knows.
    pub fn skeleton(&self) -> &'static Skeleton {
        self.skeleton
    }

    /// Person `i`.
    ///
    /// # Panics
    /// There is no such person.
    pub fn person(&self, i: usize) -> &Person {
        &self.people[i]
    }

    /// The picture of person `i`.
    ///
    /// # Errors
    /// It cannot be read or decoded, or has another size than the table says.
    ///
    /// # Panics
    /// There is no such person.
    pub fn picture(&self, i: usize) -> Result<Picture<'_>, DataError> {
        let picture = self.images.picture(self.indices[i])?;
        let size = [picture.width(), picture.height()];
        if let Some([width, height]) = self.sizes.as_ref().map(|sizes| sizes[i]).filter(|said| *said != size)
        {
            let fault = format!(
                "expected {width} x {height} pixels as its table says, got {} x {}",
                size[0], size[1]
            );
            return Err(DataError::Image { image: self.name(i), fault });
        }
        Ok(picture)
    }

    /// The part of the picture of person `i` that a view shows, `[3, side, side]`.
    ///
    /// # Errors
    /// Those of [`PoseSet::picture`] and [`View::picture`].
    ///
    /// # Panics
    /// There is no such person.
    pub fn view(&self, i: usize, view: &View, side: usize) -> Result<Picture<'static>, DataError> {
        Ok(view.picture(&self.picture(i)?, side)?.to_rgb())
    }

    /// The name of the picture of person `i`.
    ///
    /// # Panics
    /// There is no such person.
    pub fn name(&self, i: usize) -> String {
        self.images.name(self.indices[i])
    }

    /// What a run recognises its data by: the names and sizes of the pictures, or their pixels where they are in memory, and the
    /// joints.
    #[cfg(feature = "loader")]
    pub fn fingerprint(&self) -> cnn_nn::Fingerprint {
        use sha2::{Digest, Sha256};
        let mut digest = Sha256::new();
        for (&image, person) in self.indices.iter().zip(&*self.people) {
            match self.images.pixels(image) {
                Some(pixels) => digest.update(pixels),
                None => {
                    let stamp = self.images.stamp(image);
                    digest.update(stamp.name + "\0");
                    digest.update(stamp.bytes.unwrap_or_default().to_le_bytes());
                }
            }
            for Joint { x, y, visible } in &person.joints {
                digest.update([x.to_le_bytes(), y.to_le_bytes()].concat());
                digest.update([u8::from(*visible)]);
            }
        }
        let name = format!("people with the joints of {}", self.skeleton.name);
        cnn_nn::Fingerprint {
            classes: vec![cnn_nn::ClassCount { name, examples: self.len() }],
            digest: digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl fmt::Debug for PoseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} people with the joints of {}", self.len(), self.skeleton.name)
    }
}

/// The number of each row's image in the listing, or the names that are not there.
fn find(listing: &Listing, rows: &[Row]) -> Result<Vec<usize>, Vec<String>> {
    let (mut by_path, mut by_name) = (BTreeMap::new(), BTreeMap::new());
    for (i, item) in listing.items.iter().enumerate() {
        let path = name::text(&item.path);
        let last = path.rsplit('/').next().unwrap_or(&path).to_string();
        by_name.entry(last).and_modify(|known| *known = None).or_insert(Some(i));
        by_path.insert(path, i);
    }
    let place = |image: &str| by_path.get(image).copied().or_else(|| by_name.get(image).copied().flatten());
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for row in rows {
        match place(&row.image) {
            Some(i) => found.push(i),
            None => absent.push(row.image.clone()),
        }
    }
    if absent.is_empty() { Ok(found) } else { Err(absent) }
}
