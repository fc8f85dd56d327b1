//! The cards of the catalogue, as the program reads them.

use parallax::catalogue::{self, Is};
use parallax::models::Card;
use parallax::preprocess::Recipe;

#[test]
fn each_card_of_the_catalogue_opens_as_a_network_of_its_role() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut opened = 0;
    for entry in catalogue::all() {
        let Some(card) = &entry.card else { continue };
        let named = |is| entry.files.iter().find(|file| file.is == is).map(|file| file.name.clone());
        let weights = named(Is::Weights).expect("a card has weights");
        let path = folder.path().join("card.toml");
        std::fs::write(&path, format!("weights = \"{weights}\"\n{card}")).expect("written");
        let card = Card::open(&path).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!(format!("{:?}", card.kind.role()).to_lowercase(), entry.role, "{}", entry.name);
        assert_eq!(card.recipe, Recipe::default(), "{}: the published pair has one recipe", entry.name);
        opened += 1;
    }
    assert!(opened >= 5);
}
