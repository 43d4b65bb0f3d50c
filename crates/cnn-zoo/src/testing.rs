//! Compares the tables in the documentation with the networks.

use crate::imagenet_input;
use cnn_nn::{Graph, Input, ModelSpec, NnError, ParameterSource, Path, Request, Summary, SummaryRow};
use cnn_tensor::{Shape, Tensor};

/// Zeros that the system gives, in memory that nothing touches until it is read.
pub struct Untouched;

impl ParameterSource for Untouched {
    fn parameter(&mut self, _: Path<'_>, request: Request) -> Result<Tensor, NnError> {
        Ok(Tensor::from_vec(request.shape, vec![0.0; request.shape.numel()])?)
    }
}

pub fn summary(ModelSpec { layers, input, .. }: &ModelSpec) -> Summary {
    let [c, h, w] = input.shape;
    Graph::chain(layers.clone(), [1, c, h, w].into(), &mut Untouched).unwrap().summary()
}

/// Checks the first table below `title` in the documentation at the top of `source`, for 1000 classes of ImageNet.
#[track_caller]
pub fn assert_table(source: &str, title: &str, net: fn(Input, Vec<String>) -> ModelSpec) {
    let classes = (0..1000).map(|class| class.to_string()).collect();
    assert_table_of(source, title, &summary(&net(imagenet_input(), classes)));
}

/// [`assert_table`] for any network.
///
/// Each row of the table has names of layers in its first column. Other columns have the output of the last of these layers,
/// and the sums of their parameters and multiply-accumulates. The last row has the totals.
#[track_caller]
pub fn assert_table_of(source: &str, title: &str, summary: &Summary) {
    let below = source.lines().skip_while(|line| !line.contains(title));
    let lines =
        below.skip_while(|line| !line.starts_with("//! |")).take_while(|line| line.starts_with("//! |"));
    let table: Vec<Vec<&str>> = lines.map(|line| line.split('|').map(str::trim).collect()).collect();
    assert!(table.len() > 4, "a table below {title}");
    let column = |name: &str| table[0].iter().position(|&other| other == name).unwrap();
    let [output, parameters, macs] = ["output", "parameters", "multiply-accumulates"].map(column);
    for cells in &table[2..] {
        let layers = cells[1];
        let rows: Vec<&SummaryRow> = match layers {
            "total" => summary.rows.iter().collect(),
            _ => layers.split(", ").flat_map(|layer| rows(summary, layer)).collect(),
        };
        assert_eq!(cells[parameters], number(rows.iter().map(|row| row.parameters).sum()), "{layers}");
        assert_eq!(cells[macs], number(rows.iter().map(|row| row.macs).sum()), "{layers}");
        if layers != "total" {
            assert_eq!(cells[output], extents(rows[rows.len() - 1].output), "{layers}");
        }
    }
    assert_eq!(table[table.len() - 1][1], "total");
}

/// The rows of the layer at `path` and of all parts of it.
#[track_caller]
fn rows<'a>(summary: &'a Summary, path: &str) -> Vec<&'a SummaryRow> {
    let part = |row: &SummaryRow| {
        row.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let rows: Vec<_> = summary.rows.iter().filter(|row| part(row)).collect();
    assert!(!rows.is_empty(), "no layer {path}");
    rows
}

/// `1,234`, and nothing for 0.
fn number(n: u64) -> String {
    match (n, n / 1000) {
        (0, _) => String::new(),
        (_, 0) => n.to_string(),
        (_, thousands) => format!("{},{:03}", number(thousands), n % 1000),
    }
}

/// `64 x 56 x 56`.
fn extents(output: Shape) -> String {
    output.dims()[1..].iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}
