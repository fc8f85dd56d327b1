//! `--methods`: what other methods make of the class that is explained.

use anyhow::Result;
use clap::Args;

use crate::export::compared::MethodMap;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::saliency::Method;
use crate::pipeline::{self, Input, Request};

/// What is compared with the counterfactual.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What other methods make of the class, on the scan that the classifier sees: numbers in the report, and each as method_NAME.nii.gz on
    /// the scan's grid in --out
    #[arg(long, value_enum, value_name = "METHOD", value_delimiter = ',')]
    pub methods: Vec<Method>,
}

/// The maps that were asked for, each once; those that were made where it is cancelled.
pub(super) fn computed(
    input: &Input,
    request: &Request,
    methods: &[Method],
    monitor: &Monitor,
) -> Result<Vec<MethodMap>> {
    let mut maps = Vec::new();
    if methods.is_empty() {
        return Ok(maps);
    }
    let (classifier, label) = request.target.one_class()?;
    for method in Method::ALL.into_iter().filter(|method| methods.contains(method)) {
        match pipeline::method(input, classifier, label, method, monitor) {
            Ok(sizes) => maps.push(MethodMap { method, sizes }),
            Err(error) if error.downcast_ref::<Cancelled>().is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(maps)
}
