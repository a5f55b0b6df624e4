//! The products that an identity's clients are of: a client's name without its version. That a tool was updated is news of the tool; that another
//! one is used is news of who uses it.

use serde::{Deserialize, Serialize};

use crate::ledger::distinct::hash_of;

/// Products remembered; at the bound the one learned first is forgotten.
const PRODUCTS_MAX: usize = 32;

/// Hashes of the products met, in the order in which they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Products(Vec<u64>);

impl Products {
    /// Whether a client is of a product that was met.
    #[must_use]
    pub fn knows(&self, client: &str) -> bool {
        self.0.contains(&hash_of(product(client)))
    }

    /// Learns a client's product.
    pub fn learn(&mut self, client: &str) {
        let product = hash_of(product(client));
        if self.0.contains(&product) {
            return;
        }
        if self.0.len() >= PRODUCTS_MAX {
            self.0.remove(0);
        }
        self.0.push(product);
    }
}

/// What stands before the version: `aws-cli` of `aws-cli/2.15.0 Python/3.11`, `Vault CLI` of `Vault CLI 1.15`.
fn product(client: &str) -> &str {
    let end = client.find(|c: char| matches!(c, '/' | '(' | ';' | ',' | '*') || c.is_ascii_digit()).unwrap_or(client.len());
    let named = client.get(..end).unwrap_or_default().trim_end_matches([' ', '-', 'v', '.', '_', '*']);
    if named.is_empty() { client } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_the_same_product() {
        let mut products = Products::default();
        for client in ["aws-cli/2.15.0 Python/3.11", "Vault CLI 1.15", "kubectl/v1.29.0 (linux/amd64)", "Boto3/1.34", "app-v2.1"] {
            assert!(!products.knows(client));
            products.learn(client);
        }
        for client in ["aws-cli/2.16.1 Python/3.12", "Vault CLI 1.16", "kubectl/v1.30.1 (darwin/arm64)", "app-v2.2"] {
            assert!(products.knows(client), "{client}");
        }
        assert!(!products.knows("Mozilla/5.0") && !products.knows("aws-sdk-go/1.2") && !products.knows(""));
    }

    #[test]
    fn products_are_bounded() {
        let mut products = Products::default();
        ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}/1"))).for_each(|client| products.learn(&client));
        assert!(products.0.len() == PRODUCTS_MAX && products.knows("zz/2") && !products.knows("aa/1"));
    }
}
