//! The 1692 phenotypes that the published classifier scores, in its order.

/// `["code", "name"]` rows. Source: `ct_counterfactuals` 0.0.4, the phecode table of Merlin's release.
const TABLE: &str = include_str!("../../assets/phecodes.json");

pub(super) fn names() -> Vec<String> {
    let rows: Vec<[String; 2]> =
        serde_json::from_str(TABLE).expect("the table is part of the program, and a test reads it");
    rows.into_iter().map(|[_, name]| name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_has_every_phenotype_once_in_the_models_order() {
        let names = super::names();
        assert_eq!(names.len(), 1692);
        assert_eq!(names[877], "Pleurisy; pleural effusion");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 1692);
    }
}
