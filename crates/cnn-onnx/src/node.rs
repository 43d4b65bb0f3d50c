//! A node of the file with its attributes.

use crate::proto::{self, AttributeType};
use cnn_tensor::text::one_line;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// A node. It remembers which attributes were read, so that none is passed over.
pub struct Node {
    pub name: String,
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: HashMap<String, proto::Attribute>,
    read: RefCell<HashSet<&'static str>>,
}

impl Node {
    pub fn new(node: proto::Node, number: usize) -> Result<Self, String> {
        let proto::Node { input, output, name, op_type, attribute, domain } = node;
        let fault = |fault| format!("node {number} ({}): {fault}", one_line(&name));
        if op_type.is_empty() {
            return Err(fault("has no operator".into()));
        }
        let mut attributes = HashMap::new();
        for attribute in attribute {
            let name = attribute.name.clone();
            if attributes.insert(name.clone(), attribute).is_some() {
                return Err(fault(format!("has the attribute {} twice", one_line(&name))));
            }
        }
        Ok(Self {
            name,
            op: op_type,
            domain,
            inputs: input,
            outputs: output,
            attributes,
            read: RefCell::default(),
        })
    }

    fn get(&self, name: &'static str, r#type: AttributeType) -> Result<Option<&proto::Attribute>, String> {
        self.read.borrow_mut().insert(name);
        let Some(attribute) = self.attributes.get(name) else { return Ok(None) };
        if !attribute.ref_attr_name.is_empty() {
            return Err(format!("attribute {name} refers to one of a function"));
        }
        if attribute.r#type() == r#type {
            return Ok(Some(attribute));
        }
        Err(format!("attribute {name}: expected type {:?}, got {:?}", r#type, attribute.r#type()))
    }

    pub fn int(&self, name: &'static str) -> Result<Option<i64>, String> {
        Ok(self.get(name, AttributeType::Int)?.map(|attribute| attribute.i))
    }

    pub fn int_or(&self, name: &'static str, default: i64) -> Result<i64, String> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// 0 or 1.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, String> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(got) => Err(format!("attribute {name}: expected 0 or 1, got {got}")),
        }
    }

    pub fn float_or(&self, name: &'static str, default: f32) -> Result<f32, String> {
        Ok(self.get(name, AttributeType::Float)?.map_or(default, |attribute| attribute.f))
    }

    /// The float as the decimal number of which it is the nearest float: 1e-5, not 9.99999975e-6.
    pub fn decimal_or(&self, name: &'static str, default: f64) -> Result<f64, String> {
        let float = self.get(name, AttributeType::Float)?.map(|attribute| attribute.f);
        Ok(float.map_or(default, |float| float.to_string().parse().unwrap_or(float.into())))
    }

    pub fn ints(&self, name: &'static str) -> Result<Option<&[i64]>, String> {
        Ok(self.get(name, AttributeType::Ints)?.map(|attribute| &attribute.ints[..]))
    }

    pub fn floats(&self, name: &'static str) -> Result<Option<&[f32]>, String> {
        Ok(self.get(name, AttributeType::Floats)?.map(|attribute| &attribute.floats[..]))
    }

    pub fn tensor(&self, name: &'static str) -> Result<Option<&proto::Tensor>, String> {
        Ok(self.get(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_deref()))
    }

    pub fn text_or<'a>(&'a self, name: &'static str, default: &'a str) -> Result<&'a str, String> {
        let Some(attribute) = self.get(name, AttributeType::String)? else { return Ok(default) };
        std::str::from_utf8(&attribute.s).map_err(|_| format!("attribute {name}: expected text"))
    }

    /// Marks attributes as read whose values do not matter here.
    pub fn pass_over(&self, names: &[&'static str]) {
        self.read.borrow_mut().extend(names);
    }

    /// Checks that no attribute is left. One that is not known could change the result.
    pub fn all_read(&self) -> Result<(), String> {
        let read = self.read.borrow();
        let mut left: Vec<&str> =
            self.attributes.keys().map(String::as_str).filter(|name| !read.contains(name)).collect();
        left.sort_unstable();
        match left.first() {
            None => Ok(()),
            Some(name) => Err(format!("attribute {} is not known", one_line(name))),
        }
    }
}
