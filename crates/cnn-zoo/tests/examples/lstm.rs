//! The example of an LSTM learns.

#[path = "../../examples/16_lstm.rs"]
mod example;

#[test]
fn an_lstm_reads_digits() {
    let history = example::learn(3, 8_000, 1_000).unwrap();
    let accuracy = history[2].test("accuracy").unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}
