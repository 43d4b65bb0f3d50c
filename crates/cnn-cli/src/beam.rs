//! The options of a search for sentences.

use crate::fault::Fault;
use cnn::Captioner;
use cnn_nn::Beam;

#[derive(clap::Args)]
pub struct Search {
    /// The beginnings that the search keeps, 1 to 100; 1 takes the likeliest word at each step.
    #[arg(long = "beam", value_name = "N", default_value_t = 5)]
    pub width: usize,
    /// Divide the logarithm of a sentence's probability by this power of its length, 0 to 4: more gives longer sentences.
    #[arg(long, value_name = "POWER", default_value_t = Captioner::LENGTH_POWER, allow_negative_numbers = true)]
    length_power: f64,
}

impl Search {
    pub fn beam(&self) -> Result<Beam, Fault> {
        let check = |option: &str, beam: Beam| match beam.validate() {
            Ok(()) => Ok(beam),
            Err(fault) => Err(Fault::usage(format!("{option}: {fault}"))),
        };
        let beam = check("--beam", Captioner::beam(self.width))?;
        check("--length-power", Beam { length_power: self.length_power, ..beam })
    }
}
