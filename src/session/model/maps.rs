//! What can be laid over the pictures: what each choice is, as far as it has come.

use super::Model;
use crate::frame::SizeMap;
use crate::frame::display::Laid;

impl Model {
    /// The map of a choice; `None` where it has none, or has not come yet.
    pub fn map(&self, laid: Laid) -> Option<&SizeMap> {
        match laid {
            Laid::Change => None,
            Laid::Agreement => self.run.ready()?.agreement.as_ref(),
            Laid::By(method) => self.methods.known(method).map(|computed| &computed.map),
        }
    }
}
