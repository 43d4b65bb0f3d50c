use super::*;

/// A server made of a shell script.
fn start(script: &str, milliseconds: u64) -> Result<Ale, PlayError> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    let answer = Duration::from_millis(milliseconds);
    // A busy machine takes its time to start a shell, but one that only sleeps need not be waited for.
    let start = if script.starts_with("sleep") { answer } else { Duration::from_secs(60) };
    Ale::of_command("test", command, &AleOptions { start, answer, ..AleOptions::default() })
}

const HELLO: &str = r#"echo '{"protocol":1,"actions":["NOOP","FIRE"]}'"#;

/// Introduces itself, and after each request does `answer`.
fn server(answer: &str) -> String {
    format!("{HELLO}; while [ $(dd bs=1 count=1 2>/dev/null | wc -c) = 1 ]; do {answer}; done")
}

/// Why it failed; all begin by naming the game.
#[track_caller]
fn fault<T>(result: Result<T, PlayError>) -> String {
    let message = result.err().expect("a failure").to_string();
    message.strip_prefix("ale:test: the game's process ").unwrap_or_else(|| panic!("{message}")).into()
}

#[test]
fn a_server_that_keeps_to_the_protocol_is_played() {
    // A reward of 2.0, a life lost, and a bright frame.
    let answer = r"printf '\000\000\000\100\002\000\000\000'; head -c 7056 /dev/zero | tr '\000' '\310'";
    let mut ale = start(&server(answer), 10_000).unwrap();
    assert_eq!(ale.actions(), ["noop", "fire"]);
    ale.reset().unwrap();
    for action in [0, 1] {
        let outcome = ale.step(action).unwrap();
        assert_eq!(outcome, Outcome { reward: 2.0, over: false, life_lost: true });
        assert!(ale.frame().iter().all(|&pixel| pixel == 200));
    }
    assert!(ale.step(2).unwrap_err().to_string().ends_with("got 2 of 2"));
    assert!(ale.state().is_none() && ale.restore("x").is_err());
}

#[test]
fn a_process_that_hangs_is_named_after_the_timeout() {
    let mut ale = start(&server("sleep 100"), 300).unwrap();
    assert_eq!(fault(ale.reset()), "hangs: expected an answer within 0.3 s, got none");
    // It was killed, and stays so.
    assert!(fault(ale.step(0)).starts_with("ended (signal: 9"));
    assert_eq!(fault(start("sleep 100", 200)), "hangs: expected an answer within 0.2 s, got none");
}

#[test]
fn half_a_frame_is_told_whether_the_process_then_hangs_or_ends() {
    let mut ale = start(&server("head -c 3000 /dev/zero; sleep 100"), 1500).unwrap();
    assert_eq!(fault(ale.reset()), "hangs: expected 7064 bytes within 1.5 s, got 3000");
    let mut ale = start(&server("head -c 3000 /dev/zero; exit 3"), 10_000).unwrap();
    assert_eq!(fault(ale.reset()), "ended (exit status: 3) after 3000 of 7064 bytes of an answer");
}

#[test]
fn a_process_that_dies_is_told_with_its_last_words() {
    let mut ale = start(&server("echo one >&2; echo 'no such ROM' >&2; exit 1"), 10_000).unwrap();
    assert_eq!(fault(ale.step(0)), "ended (exit status: 1); its last words: no such ROM");
    let died = fault(start("echo \"ModuleNotFoundError: No module named 'ale_py'\" >&2; exit 1", 10_000));
    assert_eq!(died, "ended (exit status: 1); its last words: ModuleNotFoundError: No module named 'ale_py'");
    let missing =
        Ale::start("pong", 0, &AleOptions { python: "no-such-python".into(), ..AleOptions::default() });
    let message = missing.err().unwrap().to_string();
    assert!(
        message.starts_with("ale:pong: the game's process cannot be started (no-such-python): "),
        "{message}"
    );
}

#[test]
fn other_words_than_the_protocols_are_refused() {
    let refused = |hello: &str| fault(start(&format!("echo '{hello}'; sleep 100"), 10_000));
    assert!(refused("hello").starts_with("introduced itself by another line than expected: "));
    let newer = refused(r#"{"protocol":2,"actions":["a"]}"#);
    assert_eq!(newer, "was expected to speak protocol 1, but speaks protocol 2 with 1 actions");
    assert!(refused(r#"{"protocol":1,"actions":[]}"#).ends_with("protocol 1 with 0 actions"));
    let nan = r"printf '\377\377\377\177\000\000\000\000'; head -c 7056 /dev/zero";
    let mut ale = start(&server(nan), 10_000).unwrap();
    assert_eq!(fault(ale.reset()), "answered by a reward of NaN and the flags 0");
}
