//! Which rows of numbers are alike: a tree by average linkage (Sokal and Michener 1958, UPGMA), and the order of its leaves.

/// Two parts of a tree that are joined: their places among leaves and earlier joins, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Join {
    pub(super) parts: [usize; 2],
    pub(super) distance: f64,
}

/// A tree of `n` leaves: part `n + i` is the `i`th join.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) joins: Vec<Join>,
    /// The leaves from left to right.
    pub(super) order: Vec<usize>,
}

/// The tree of some rows of equal length, by their Euclidean distances.
pub(super) fn tree(rows: &[Vec<f64>]) -> Tree {
    let n = rows.len();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let mut distances: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| distance(a, b)).collect()).collect();
    // Each part that is not yet joined: its number, and its leaves in order.
    let mut parts: Vec<(usize, Vec<usize>)> = (0..n).map(|leaf| (leaf, vec![leaf])).collect();
    let mut joins = Vec::new();
    while parts.len() > 1 {
        let pairs = (0..parts.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let Some((a, b)) = pairs.min_by(|x, y| distances[x.0][x.1].total_cmp(&distances[y.0][y.1])) else { break };
        joins.push(Join { parts: [parts[a].0, parts[b].0], distance: distances[a][b] });
        let [size_a, size_b] = [&parts[a], &parts[b]].map(|part| part.1.len() as f64);
        let weighed = distances[a].iter().zip(&distances[b]);
        let mut joined: Vec<f64> =
            weighed.map(|(to_a, to_b)| (size_a * to_a + size_b * to_b) / (size_a + size_b)).collect();
        joined[a] = 0.0;
        for (row, distance) in distances.iter_mut().zip(&joined) {
            row[a] = *distance;
            row.remove(b);
        }
        joined.remove(b);
        distances[a] = joined;
        distances.remove(b);
        let (_, leaves) = parts.remove(b);
        parts[a].0 = n + joins.len() - 1;
        parts[a].1.extend(leaves);
    }
    Tree { joins, order: parts.pop().map_or_else(Vec::new, |(_, leaves)| leaves) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_that_of_a_calculation_by_hand() {
        // On a line: 0, 1 | 5, 7 | 20. Average linkage joins 0-1 at 1, 5-7 at 2, these at (5+7+4+6)/4, and 20 at (20+19+15+13)/4.
        let rows: Vec<Vec<f64>> = [0.0, 20.0, 5.0, 1.0, 7.0].map(|x| vec![x]).into();
        let tree = tree(&rows);
        let distances: Vec<f64> = tree.joins.iter().map(|join| join.distance).collect();
        assert_eq!(distances, [1.0, 2.0, 5.5, 16.75]);
        assert_eq!(tree.joins[0].parts, [0, 3]);
        assert_eq!(tree.joins[1].parts, [2, 4]);
        assert_eq!(tree.order, [0, 3, 2, 4, 1]);
    }

    #[test]
    fn no_row_and_one_row_are_trees_too() {
        assert_eq!(tree(&[]), Tree { joins: vec![], order: vec![] });
        assert_eq!(tree(&[vec![1.0]]), Tree { joins: vec![], order: vec![0] });
    }
}
