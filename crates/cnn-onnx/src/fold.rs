//! Operators on values that are known: computed when a network is imported. Most of them work out shapes.

use crate::builder::Call;
use crate::constant::{Array, Constant, Int};
use crate::external::Folder;
use crate::value::{extent, wrap};
use std::rc::Rc;

/// Computes a node with constant inputs.
pub type Fold = fn(&Call<'_>, &Folder) -> Result<Constant, String>;

/// The most numbers of a value that is computed here, if it does not read as many itself.
const LARGEST: usize = 1 << 18;
/// How many times its input's numbers a value may have beyond that.
const GROWTH: usize = 4;

/// How the operator is computed, if it can be.
pub fn operator(op: &str) -> Option<Fold> {
    Some(match op {
        "Constant" => constant,
        "ConstantOfShape" => |call, folder| constant_of_shape(call, folder),
        "Identity" => |call, _| Ok(call.constant(0)?.clone()),
        "Shape" => |call, _| shape(call),
        "Size" => |call, _| Ok(scalar(call.constant(0)?.dims().iter().product::<usize>() as i64)),
        "Cast" => |call, _| cast(call),
        "Gather" => |call, _| gather(call),
        "Concat" => |call, _| concat(call),
        "Slice" => |call, _| slice(call),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => |call, _| reshape(call),
        "Transpose" => |call, _| transpose(call),
        "Expand" => |call, _| expand(call),
        "Range" => |call, _| range(call),
        "Where" => |call, _| choose(call),
        "Add" => |call, _| binary(call, |a, b| a + b, Int::add),
        "Sub" => |call, _| binary(call, |a, b| a - b, Int::sub),
        "Mul" => |call, _| binary(call, |a, b| a * b, Int::mul),
        "Div" => |call, _| binary(call, |a, b| a / b, Int::div),
        "Pow" => |call, _| binary(call, f32::powf, |_, _| None),
        "Max" => |call, _| binary(call, f32::max, |a, b| both(a, b, i64::max)),
        "Min" => |call, _| binary(call, f32::min, |a, b| both(a, b, i64::min)),
        "Equal" => |call, _| compare(call, |a, b| a == b, |a, b| a == b),
        "Less" => |call, _| compare(call, |a, b| a < b, |a, b| a < b),
        "Greater" => |call, _| compare(call, |a, b| a > b, |a, b| a > b),
        "Not" => |call, _| each_int(call, |int| i64::from(int == 0)),
        "Neg" => |call, _| each(call, |v| -v),
        "Sqrt" => |call, _| each(call, f32::sqrt),
        "Exp" => |call, _| each(call, f32::exp),
        "Abs" => |call, _| each(call, f32::abs),
        "Floor" => |call, _| each(call, f32::floor),
        "Ceil" => |call, _| each(call, f32::ceil),
        "Reciprocal" => |call, _| each(call, f32::recip),
        "ReduceProd" => |call, _| product(call),
        _ => return None,
    })
}

fn scalar(value: i64) -> Constant {
    Constant::ints(Vec::new(), vec![value.into()])
}

impl Int {
    fn add(self, b: Self) -> Option<Self> {
        Some(Self { batches: self.batches.checked_add(b.batches)?, rest: self.rest.checked_add(b.rest)? })
    }

    fn sub(self, b: Self) -> Option<Self> {
        Some(Self { batches: self.batches.checked_sub(b.batches)?, rest: self.rest.checked_sub(b.rest)? })
    }

    fn mul(self, b: Self) -> Option<Self> {
        let (a, factor) = if b.batches == 0 { (self, b) } else { (b, self) };
        let factor = factor.known()?;
        Some(Self { batches: a.batches.checked_mul(factor)?, rest: a.rest.checked_mul(factor)? })
    }

    fn div(self, b: Self) -> Option<Self> {
        let b = b.known().filter(|&b| b != 0)?;
        let is_exact = self.batches == 0 || (self.batches % b == 0 && self.rest % b == 0);
        let quotient = Self { batches: self.batches.checked_div(b)?, rest: self.rest.checked_div(b)? };
        is_exact.then_some(quotient)
    }
}

fn both(a: Int, b: Int, f: impl Fn(i64, i64) -> i64) -> Option<Int> {
    if a == b { Some(a) } else { Some(f(a.known()?, b.known()?).into()) }
}

impl<T: Clone> Array<T> {
    /// The array of these extents whose number at each place is the one of `self` at `from` that place.
    fn pick(&self, dims: Vec<usize>, from: impl Fn(&[usize]) -> usize) -> Result<Self, String> {
        let numel = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let most = LARGEST.max(GROWTH.saturating_mul(self.values.len()));
        let numel = numel.filter(|&numel| numel <= most);
        let numel = numel.ok_or_else(|| format!("a value of extents {dims:?} is too large"))?;
        let mut values = Vec::new();
        values.try_reserve_exact(numel).map_err(|e| e.to_string())?;
        let mut place = vec![0; dims.len()];
        for _ in 0..numel {
            let value = self.values.get(from(&place)).ok_or("a position lies outside the value")?;
            values.push(value.clone());
            for (position, &dim) in place.iter_mut().zip(&dims).rev() {
                *position += 1;
                if *position < dim {
                    break;
                }
                *position = 0;
            }
        }
        Ok(Self { dims, values })
    }

    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.dims.len()];
        for i in (1..self.dims.len()).rev() {
            strides[i - 1] = strides[i] * self.dims[i];
        }
        strides
    }

    /// Along one axis, the positions that `position` gives; `count` of them.
    fn along(&self, axis: usize, count: usize, position: impl Fn(usize) -> usize) -> Result<Self, String> {
        let mut dims = self.dims.clone();
        dims[axis] = count;
        let strides = self.strides();
        self.pick(dims, |place| {
            let at = |(i, &p): (usize, &usize)| strides[i] * if i == axis { position(p) } else { p };
            place.iter().enumerate().map(at).sum()
        })
    }

    /// The array broadcast to these extents.
    fn broadcast(&self, dims: &[usize]) -> Result<Self, String> {
        let missing = dims.len().checked_sub(self.dims.len());
        let fits = |missing: &usize| {
            self.dims.iter().zip(&dims[*missing..]).all(|(&own, &dim)| own == dim || own == 1)
        };
        let Some(missing) = missing.filter(fits) else {
            return Err(format!("extents {:?} cannot be broadcast to {dims:?}", self.dims));
        };
        let strides = self.strides();
        self.pick(dims.to_vec(), |place| {
            let at = |(i, &stride): (usize, &usize)| {
                if self.dims[i] == 1 { 0 } else { stride * place[missing + i] }
            };
            strides.iter().enumerate().map(at).sum()
        })
    }
}

/// The array in either form, changed by `f` in a way that does not look at the numbers.
macro_rules! either {
    ($constant:expr, $array:ident => $f:expr) => {
        match $constant {
            Constant::Floats($array) => Constant::Floats(Rc::new($f)),
            Constant::Ints($array) => Constant::Ints(Rc::new($f)),
        }
    };
}

/// The extents to which two shapes are broadcast.
fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let extent = |i| match (at(a, i), at(b, i)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!("extents {a:?} and {b:?} cannot be broadcast")),
    };
    (0..rank).map(extent).collect()
}

fn constant(call: &Call<'_>, folder: &Folder) -> Result<Constant, String> {
    let node = call.node;
    if let Some(tensor) = node.tensor("value")? {
        return Constant::read(tensor, folder);
    }
    if let Some(ints) = node.ints("value_ints")? {
        return Ok(Constant::ints(vec![ints.len()], ints.iter().map(|&int| int.into()).collect()));
    }
    if let Some(floats) = node.floats("value_floats")? {
        return Ok(Constant::floats(vec![floats.len()], floats.to_vec()));
    }
    if let Some(int) = node.int("value_int")? {
        return Ok(scalar(int));
    }
    let float = node.float_or("value_float", f32::NAN)?;
    if float.is_nan() {
        return Err("expected a numeric value".into());
    }
    Ok(Constant::floats(Vec::new(), vec![float]))
}

fn constant_of_shape(call: &Call<'_>, folder: &Folder) -> Result<Constant, String> {
    let dims = call.constant(0)?.known_ints()?.into_iter().map(extent).collect::<Result<Vec<_>, _>>()?;
    let value = match call.node.tensor("value")? {
        Some(tensor) => Constant::read(tensor, folder)?,
        None => Constant::floats(vec![1], vec![0.0]),
    };
    Ok(either!(&value, array => array.pick(dims, |_| 0)?))
}

/// The extents of a value, of which that of the batch is open.
pub fn shape_of(call: &Call<'_>, dims: Vec<Int>) -> Result<Constant, String> {
    let clamp =
        |at: i64| if at < 0 { at + dims.len() as i64 } else { at }.clamp(0, dims.len() as i64) as usize;
    let start = clamp(call.node.int_or("start", 0)?);
    let end = clamp(call.node.int_or("end", dims.len() as i64)?).max(start);
    Ok(Constant::ints(vec![end - start], dims[start..end].to_vec()))
}

fn shape(call: &Call<'_>) -> Result<Constant, String> {
    let dims = call.constant(0)?.dims().iter().map(|&dim| Int::from(dim as i64)).collect();
    shape_of(call, dims)
}

/// Whether a type of elements, by onnx.proto's number, is one of floats.
pub fn is_float(element: i64) -> Result<bool, String> {
    match element {
        1 | 10 | 11 | 16 => Ok(true),
        2..=7 | 9 | 12 | 13 => Ok(false),
        other => Err(format!("expected a numeric type, got type {other}")),
    }
}

fn cast(call: &Call<'_>) -> Result<Constant, String> {
    const BOOL: i64 = 9;
    call.node.pass_over(&["saturate"]);
    let (x, to) = (call.constant(0)?, call.node.int("to")?.ok_or("attribute to is missing")?);
    Ok(match (x, is_float(to)?) {
        (Constant::Ints(_), true) => Constant::Floats(x.to_floats()?),
        (Constant::Floats(array), false) => {
            let int = |&v: &f32| Int::from(if to == BOOL { i64::from(v != 0.0) } else { v as i64 });
            Constant::ints(array.dims.clone(), array.values.iter().map(int).collect())
        }
        (Constant::Ints(_), false) if to == BOOL => return each_int(call, |int| i64::from(int != 0)),
        _ => x.clone(),
    })
}

fn gather(call: &Call<'_>) -> Result<Constant, String> {
    let (x, indices) = (call.constant(0)?, call.constant(1)?);
    let axis = wrap(call.node.int_or("axis", 0)?, x.dims().len())?;
    let at = indices.known_ints()?.into_iter().map(|index| wrap(index, x.dims()[axis]));
    let at = at.collect::<Result<Vec<usize>, _>>()?;
    let dims = [&x.dims()[..axis], indices.dims(), &x.dims()[axis + 1..]].concat();
    let picked = either!(x, array => array.along(axis, at.len(), |i| at[i])?);
    Ok(either!(&picked, array => Array { dims: dims.clone(), values: array.values.clone() }))
}

fn concat(call: &Call<'_>) -> Result<Constant, String> {
    let parts = (0..call.inputs.len()).map(|i| call.constant(i)).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("there are no inputs")?;
    let axis = wrap(call.node.int("axis")?.ok_or("attribute axis is missing")?, first.dims().len())?;
    let fits = |part: &&Constant| {
        part.dims().len() == first.dims().len()
            && (0..first.dims().len()).all(|i| i == axis || part.dims()[i] == first.dims()[i])
    };
    if !parts.iter().all(fits) {
        return Err("the inputs do not fit together".into());
    }
    let mut dims = first.dims().to_vec();
    dims[axis] = parts.iter().fold(0, |sum, part| sum.saturating_add(part.dims()[axis]));
    let numel = |dims: &[usize]| dims.iter().fold(1usize, |product, &dim| product.saturating_mul(dim));
    let most =
        parts.iter().map(|part| numel(part.dims())).max().unwrap_or(0).saturating_mul(GROWTH).max(LARGEST);
    if numel(&dims) > most {
        return Err(format!("a value of extents {dims:?} is too large"));
    }
    let outer: usize = dims[..axis].iter().product();
    let run = |part: &Constant| part.dims()[axis..].iter().product::<usize>();
    fn join<T: Clone>(outer: usize, runs: &[(&[T], usize)]) -> Vec<T> {
        (0..outer)
            .flat_map(|i| runs.iter().flat_map(move |(values, run)| values[i * run..][..*run].to_vec()))
            .collect()
    }
    if parts.iter().all(|part| matches!(part, Constant::Ints(_))) {
        let arrays = parts.iter().map(|part| part.as_ints()).collect::<Result<Vec<_>, _>>()?;
        let runs: Vec<(&[Int], usize)> =
            arrays.iter().zip(&parts).map(|(array, part)| (&array.values[..], run(part))).collect();
        return Ok(Constant::ints(dims, join(outer, &runs)));
    }
    let arrays = parts.iter().map(|part| part.to_floats()).collect::<Result<Vec<_>, _>>()?;
    let runs: Vec<(&[f32], usize)> =
        arrays.iter().zip(&parts).map(|(array, part)| (&array.values[..], run(part))).collect();
    Ok(Constant::floats(dims, join(outer, &runs)))
}

/// The ranges of a slice, as `(axis, start, end, step)`: attributes up to opset 9, inputs since.
pub fn ranges(call: &Call<'_>, rank: usize) -> Result<Vec<(usize, i64, i64, i64)>, String> {
    let starts = call.ints("starts", 1)?.ok_or("the starts are missing")?;
    let ends = call.ints("ends", 2)?.ok_or("the ends are missing")?;
    let axes = call.ints("axes", 3)?.unwrap_or((0..starts.len() as i64).collect());
    let steps = match call.optional(4)? {
        Some(steps) => steps.known_ints()?,
        None => vec![1; starts.len()],
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps have different lengths".into());
    }
    let range = |i: usize| Ok((wrap(axes[i], rank)?, starts[i], ends[i], steps[i]));
    (0..starts.len()).map(range).collect()
}

/// The first position of a slice with a positive step, and the end, within `dim` positions.
pub fn clamp(start: i64, end: i64, dim: usize) -> (usize, usize) {
    let at = |position: i64| {
        let dim = dim as i64;
        (if position < 0 { position.saturating_add(dim) } else { position }).clamp(0, dim) as usize
    };
    (at(start), at(end).max(at(start)))
}

fn slice(call: &Call<'_>) -> Result<Constant, String> {
    let mut x = call.constant(0)?.clone();
    for (axis, start, end, step) in ranges(call, x.dims().len())? {
        let dim = x.dims()[axis];
        // From the back with a step of -1, as reversed lists are.
        if step == -1 && start == -1 && end <= -(dim as i64) {
            x = either!(&x, array => array.along(axis, dim, |i| dim - 1 - i)?);
            continue;
        }
        let step = usize::try_from(step).ok().filter(|&step| step > 0).ok_or("the step is negative or 0")?;
        let (start, end) = clamp(start, end, dim);
        let count = (end - start).div_ceil(step);
        x = either!(&x, array => array.along(axis, count, |i| start + i * step)?);
    }
    Ok(x)
}

fn reshape(call: &Call<'_>) -> Result<Constant, String> {
    let x = call.constant(0)?;
    let dims = match call.node.op.as_str() {
        "Reshape" => {
            let zeros_copy = !call.node.flag("allowzero", false)?;
            target(x.dims(), &call.constant(1)?.known_ints()?, zeros_copy)?
        }
        "Flatten" => {
            let rank = x.dims().len() as i64;
            let axis = call.node.int_or("axis", 1)?;
            let axis = if axis == rank { rank as usize } else { wrap(axis, rank as usize)? };
            let (outer, inner) = x.dims().split_at(axis);
            vec![outer.iter().product(), inner.iter().product()]
        }
        "Squeeze" => squeezed(x.dims(), call.ints("axes", 1)?)?,
        _ => unsqueezed(x.dims(), &call.ints("axes", 1)?.ok_or("the axes are missing")?)?,
    };
    Ok(either!(x, array => Array { dims: dims.clone(), values: array.values.clone() }))
}

/// The extents of a reshape: 0 copies an extent, one of -1 is inferred.
pub fn target(x: &[usize], wanted: &[i64], zeros_copy: bool) -> Result<Vec<usize>, String> {
    let fault = || format!("extents {x:?} cannot become {wanted:?}");
    let mut dims = Vec::with_capacity(wanted.len());
    for (i, &dim) in wanted.iter().enumerate() {
        dims.push(match dim {
            0 if zeros_copy => Some(*x.get(i).ok_or_else(fault)?),
            -1 => None,
            dim => Some(usize::try_from(dim).map_err(|_| fault())?),
        });
    }
    let product = |a: usize, b: &usize| a.checked_mul(*b);
    let numel = x.iter().try_fold(1, product).ok_or_else(fault)?;
    let known = dims.iter().flatten().try_fold(1, product).ok_or_else(fault)?;
    let inferred = match dims.iter().filter(|dim| dim.is_none()).count() {
        0 if known == numel => 0,
        1 if known > 0 && numel % known == 0 => numel / known,
        _ => return Err(fault()),
    };
    Ok(dims.into_iter().map(|dim| dim.unwrap_or(inferred)).collect())
}

/// The extents without some of 1.
pub fn squeezed(x: &[usize], axes: Option<Vec<i64>>) -> Result<Vec<usize>, String> {
    let axes = match axes {
        Some(axes) => axes.into_iter().map(|axis| wrap(axis, x.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.len()).filter(|&i| x[i] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| x[axis] != 1) {
        return Err(format!("axis {axis} of extents {x:?} is not 1"));
    }
    Ok((0..x.len()).filter(|i| !axes.contains(i)).map(|i| x[i]).collect())
}

/// The extents with some of 1, at these places of the result.
pub fn unsqueezed(x: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = x.len() + axes.len();
    let mut axes = axes.iter().map(|&axis| wrap(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let mut dims = x.to_vec();
    for axis in axes {
        if axis > dims.len() {
            return Err("an axis is there twice".into());
        }
        dims.insert(axis, 1);
    }
    Ok(dims)
}

/// The order of axes of a transposition, reversed unless given.
pub fn permutation(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, String> {
    let Some(perm) = call.node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let dims = perm.iter().map(|&axis| wrap(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("attribute perm: expected each of {rank} axes once, got {perm:?}"));
    }
    Ok(dims)
}

fn transpose(call: &Call<'_>) -> Result<Constant, String> {
    let x = call.constant(0)?;
    let order = permutation(call, x.dims().len())?;
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims()[axis]).collect();
    Ok(either!(x, array => {
        let strides = array.strides();
        array.pick(dims, |place| place.iter().zip(&order).map(|(p, &axis)| p * strides[axis]).sum())?
    }))
}

fn expand(call: &Call<'_>) -> Result<Constant, String> {
    let x = call.constant(0)?;
    let wanted = call.constant(1)?.known_ints()?.into_iter().map(extent).collect::<Result<Vec<_>, _>>()?;
    let dims = common(x.dims(), &wanted)?;
    Ok(either!(x, array => array.broadcast(&dims)?))
}

fn range(call: &Call<'_>) -> Result<Constant, String> {
    let (start, limit, step) = (call.constant(0)?.int()?, call.constant(1)?.int()?, call.constant(2)?.int()?);
    let count = match step {
        1.. => limit.saturating_sub(start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()),
        ..0 => start.saturating_sub(limit).max(0).unsigned_abs().div_ceil(step.unsigned_abs()),
        0 => return Err("the step is 0".into()),
    };
    if count > LARGEST as u64 {
        return Err(format!("a range of {count} numbers is too large"));
    }
    let values: Vec<Int> = (0..count as i64).map(|i| Int::from(start + i * step)).collect();
    Ok(Constant::ints(vec![values.len()], values))
}

fn choose(call: &Call<'_>) -> Result<Constant, String> {
    let (condition, a, b) = (call.constant(0)?, call.constant(1)?, call.constant(2)?);
    let dims = common(condition.dims(), &common(a.dims(), b.dims())?)?;
    let condition = condition.as_ints()?.broadcast(&dims)?;
    let choice =
        |i: usize| condition.values[i].known().map(|c| c != 0).ok_or_else(crate::constant::of_the_batch);
    if let (Constant::Ints(a), Constant::Ints(b)) = (a, b) {
        let (a, b) = (a.broadcast(&dims)?, b.broadcast(&dims)?);
        let values =
            (0..condition.values.len()).map(|i| Ok(if choice(i)? { a.values[i] } else { b.values[i] }));
        return Ok(Constant::ints(dims, values.collect::<Result<_, String>>()?));
    }
    let (a, b) = (a.to_floats()?.broadcast(&dims)?, b.to_floats()?.broadcast(&dims)?);
    let values = (0..condition.values.len()).map(|i| Ok(if choice(i)? { a.values[i] } else { b.values[i] }));
    Ok(Constant::floats(dims, values.collect::<Result<_, String>>()?))
}

fn binary(
    call: &Call<'_>,
    floats: impl Fn(f32, f32) -> f32,
    ints: impl Fn(Int, Int) -> Option<Int>,
) -> Result<Constant, String> {
    let (mut a, n) = (call.constant(0)?.clone(), call.inputs.len());
    for i in 1..n {
        let b = call.constant(i)?;
        let dims = common(a.dims(), b.dims())?;
        a = match (&a, b) {
            (Constant::Ints(a), Constant::Ints(b)) => {
                let (a, b) = (a.broadcast(&dims)?, b.broadcast(&dims)?);
                let value = |(&a, &b)| ints(a, b).ok_or("the result is not a whole number that is known");
                let values = a.values.iter().zip(&b.values).map(value).collect::<Result<_, _>>()?;
                Constant::ints(dims, values)
            }
            (a, b) => {
                let (a, b) = (a.to_floats()?.broadcast(&dims)?, b.to_floats()?.broadcast(&dims)?);
                let values = a.values.iter().zip(&b.values).map(|(&a, &b)| floats(a, b)).collect();
                Constant::floats(dims, values)
            }
        };
    }
    Ok(a)
}

fn compare(
    call: &Call<'_>,
    floats: impl Fn(f32, f32) -> bool,
    ints: impl Fn(i64, i64) -> bool,
) -> Result<Constant, String> {
    let (a, b) = (call.constant(0)?, call.constant(1)?);
    let dims = common(a.dims(), b.dims())?;
    let values = match (a, b) {
        (Constant::Ints(a), Constant::Ints(b)) => {
            let (a, b) = (a.broadcast(&dims)?, b.broadcast(&dims)?);
            let value = |(a, b): (&Int, &Int)| {
                // Equal expressions are equal for any number of images.
                let difference = a.sub(*b).and_then(Int::known).ok_or_else(crate::constant::of_the_batch)?;
                Ok(Int::from(i64::from(ints(difference, 0))))
            };
            a.values.iter().zip(&b.values).map(value).collect::<Result<_, String>>()?
        }
        (a, b) => {
            let (a, b) = (a.to_floats()?.broadcast(&dims)?, b.to_floats()?.broadcast(&dims)?);
            let values = a.values.iter().zip(&b.values);
            values.map(|(&a, &b)| Int::from(i64::from(floats(a, b)))).collect()
        }
    };
    Ok(Constant::ints(dims, values))
}

fn each(call: &Call<'_>, f: impl Fn(f32) -> f32) -> Result<Constant, String> {
    let Constant::Floats(x) = call.constant(0)? else {
        // Whole numbers that are exact as floats.
        let (x, exact) = (call.constant(0)?, 1 << 24);
        let int = |v: i64| {
            if v.abs() <= exact { Ok(Int::from(f(v as f32) as i64)) } else { Err("a number is too large") }
        };
        let values = x.known_ints()?.into_iter().map(int).collect::<Result<_, _>>()?;
        return Ok(Constant::ints(x.dims().to_vec(), values));
    };
    Ok(Constant::floats(x.dims.clone(), x.values.iter().map(|&v| f(v)).collect()))
}

fn each_int(call: &Call<'_>, f: impl Fn(i64) -> i64) -> Result<Constant, String> {
    let x = call.constant(0)?;
    let values = x.known_ints()?.into_iter().map(|int| Int::from(f(int))).collect();
    Ok(Constant::ints(x.dims().to_vec(), values))
}

fn product(call: &Call<'_>) -> Result<Constant, String> {
    let x = call.constant(0)?;
    if call.ints("axes", 1)?.is_some() {
        return Err("axes are not supported".into());
    }
    let keep = call.node.flag("keepdims", true)?;
    let values = &x.as_ints()?.values;
    let product = values.iter().try_fold(Int::from(1), |product, &value| product.mul(value));
    let product = product.ok_or("the result is not a whole number that is known")?;
    Ok(Constant::ints(if keep { vec![1; x.dims().len()] } else { Vec::new() }, vec![product]))
}
