// Whole experiments: what a file says, and every mistake at once with its place.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "study/spec.h"
#include "unit/spec_samples.h"
#include "workloads/generate.h"
#include "workloads/perplexity.h"
#include "workloads/recall.h"
#include "workloads/speed.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
}

template <class Kind>
const Kind& as(const ChosenWorkload& chosen) {
  return dynamic_cast<const Kind&>(*chosen.workload);
}

class Spec : public testing::Test {
 protected:
  Spec() : folder_(fs::path(testing::TempDir()) / ("attnlab_spec_" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "models");
    write("models/tiny.yaml", "hidden_size: 64\n");
    write("sample.txt", "text\n");
  }
  ~Spec() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  ExperimentSpec read(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    return read_spec(open_spec(write("f.yaml", yaml), overrides), sample_lookup());
  }

  // Without the folder, which is another one every time.
  std::string error(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    std::string text = error_of([&] { (void)read(yaml, overrides); });
    const std::string folder = folder_.string() + "/";
    for (std::size_t at = 0; (at = text.find(folder, at)) != std::string::npos;) text.erase(at, folder.size());
    return text;
  }

  // An experiment in which only one workload can be wrong.
  std::string workload_error(const std::string& workload) const {
    return error("{name: x, model: models/tiny.yaml, arms: [{}]}\n", {"workloads=[" + workload + "]"});
  }
  std::vector<std::string> labels(const std::string& workloads) const {
    std::vector<std::string> labels;
    for (const ChosenWorkload& workload : read(kHead + "workloads: [" + workloads + "]\n").workloads)
      for (const std::string& label : workload.labels) labels.push_back(std::string(workload.kind->name) + " " + label);
    return labels;
  }

  const std::string kHead = "name: x\nmodel: models/tiny.yaml\narms: [{}]\n";
  fs::path folder_;
};

TEST_F(Spec, ReadsAWholeExperiment) {
  write("mine.so", "");
  const ExperimentSpec spec = read(
      "# yaml-language-server: $schema=../configs/experiment.schema.json\n"
      "name: kv-heads\n"
      "question: What do fewer heads cost?\n"
      "model: models/tiny.yaml\n"
      "plugins: [mine.so]\n"
      "seed: 3\n"
      "threads: 2\n"
      "repeats: 5\n"
      "arms:\n"
      "  grid:\n"
      "    attention: [mha, {gqa: {kv_heads: 4}}, mqa]\n"
      "    cache: [full, {sink: {sinks: 4, window: 252}}]\n"
      "baseline: {attention: gqa, cache: sink}\n"
      "workloads:\n"
      "  - speed: {batch: [q512, 8q1s1k]}\n"
      "  - perplexity: {text: sample.txt, context: 256}\n"
      "  - generate: {prompt: \"Once upon a time\", tokens: 64}\n");
  EXPECT_EQ(spec.name, "kv-heads");
  EXPECT_EQ(spec.question, "What do fewer heads cost?");
  EXPECT_EQ(spec.model.path, folder_ / "models/tiny.yaml");
  ASSERT_EQ(spec.plugins.size(), 1U);
  EXPECT_EQ(spec.plugins[0].path, folder_ / "mine.so");
  EXPECT_EQ(spec.plugins[0].where.line, 5);
  EXPECT_EQ(spec.seed, 3);
  EXPECT_EQ(spec.threads, 2);
  EXPECT_EQ(spec.repeats, (Repeats{5, 5, 0}));
  ASSERT_EQ(spec.arms.size(), 6U);
  EXPECT_EQ(spec.arms[spec.baseline].name, "gqa/rope/sink");
  ASSERT_EQ(spec.workloads.size(), 3U);
  const auto& speed = as<SpeedWorkload>(spec.workloads[0]);
  ASSERT_EQ(speed.cases.size(), 2U);
  EXPECT_EQ(spec.workloads[0].labels[1], "8q1s1k");
  EXPECT_EQ(std::get<Batch>(speed.cases[1]), (Batch{{8, 1, 1024}}));
  const auto& perplexity = as<PerplexityWorkload>(spec.workloads[1]);
  EXPECT_EQ(perplexity.text, folder_ / "sample.txt");
  EXPECT_EQ(perplexity.context, 256);
  EXPECT_EQ(perplexity.prefill, 256);
  EXPECT_FALSE(perplexity.says_prefill);
  EXPECT_TRUE(perplexity.is_whole());
  const auto& generate = as<GenerateWorkload>(spec.workloads[2]);
  EXPECT_EQ(generate.prompt, "Once upon a time");
  EXPECT_EQ(generate.tokens, 64);
  EXPECT_EQ(generate.temperature, 0);
  EXPECT_FALSE(generate.seed.has_value());
}

TEST_F(Spec, HasDefaults) {
  const ExperimentSpec spec = read(kHead + "workloads: [speed: {batch: q1}]\n");
  EXPECT_EQ(spec.seed, 1);
  EXPECT_EQ(spec.threads, 0);
  EXPECT_EQ(spec.repeats, (Repeats{7, 7, 0}));
  EXPECT_EQ(spec.warmup, 1);
  EXPECT_TRUE(spec.interleave);
  const ExperimentSpec alone = read(kHead + "interleave: false\nworkloads: [speed: {batch: q1}]\n");
  EXPECT_FALSE(alone.interleave);
  EXPECT_EQ(alone.warmup, 3);
  EXPECT_EQ(spec.limits, Limits{});
  EXPECT_FALSE(spec.stops_on_error);
  EXPECT_EQ(spec.baseline, 0U);
  EXPECT_EQ(spec.arms.front().name, "mha/rope/full");
}

TEST_F(Spec, PluginsAndModelAreKnownBeforeOptionsAreRead) {
  write("mine.so", "");
  const SpecDocument document =
      open_spec(write("f.yaml", "model: models\nplugins: [mine.so]\narms: [{attention: whatever}]\n"));
  EXPECT_EQ(document.plugin_paths(), (std::vector<fs::path>{folder_ / "mine.so"}));
  EXPECT_EQ(document.model.path, folder_ / "models");
  EXPECT_TRUE(document.problems.empty());
}

TEST_F(Spec, EveryProblemIsReportedAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(error("name: a/b\n"
                  "modle: models/tiny.yaml\n"
                  "model: models/tinny.yaml\n"
                  "plugins: [gone.so, 3]\n"
                  "seed: -1\n"
                  "threads: two\n"
                  "repeats: 0\n"
                  "arms:\n"
                  "  list: [{attention: gqaa}, {cache: {window: {windw: 4}}}]\n"
                  "workloads:\n"
                  "  - speed: {batch: [q512, 8q1s]}\n"
                  "  - perplxity: {text: sample.txt}\n"),
            "f.yaml:1:7: name: \"a/b\" is no name of a folder; use letters, digits, - and _\n"
            "f.yaml:2:1: unknown key \"modle\" of the experiment; did you mean \"model\"?\n"
            "f.yaml:3:8: model: there is no file or folder \"models/tinny.yaml\"; did you mean \"tiny.yaml\"?\n"
            "f.yaml:4:11: plugins: there is no file or folder \"gone.so\"\n"
            "f.yaml:4:20: plugins: expected text, got 3; put it in quotes\n"
            "f.yaml:5:7: seed: -1 is less than 0\n"
            "f.yaml:6:10: threads: expected an integer, got text \"two\"\n"
            "f.yaml:7:10: repeats: 0 is outside 1..10000\n"
            "f.yaml:9:22: unknown component \"gqaa\"; did you mean \"gqa\"?\n"
            "f.yaml:9:47: unknown option \"windw\" of \"window\"; did you mean \"window\"?\n"
            "f.yaml:11:31: batch \"8q1s\": expected a number, got the end; write <count>q<new tokens>[k][s<total "
            "length>[k]], joined by _, as in 8q1s1k\n"
            "f.yaml:12:5: unknown workload \"perplxity\"; did you mean \"perplexity\"?");
}

TEST_F(Spec, MissingKeysAreNamed) {
  EXPECT_EQ(error("seed: 1\n"),
            "f.yaml:1:1: the key \"name\" of the experiment is missing\n"
            "f.yaml:1:1: the key \"model\" of the experiment is missing\n"
            "f.yaml:1:1: the key \"arms\" of the experiment is missing\n"
            "f.yaml:1:1: the key \"workloads\" of the experiment is missing");
  EXPECT_EQ(error("[1]\n"), "f.yaml:1:1: the experiment: expected a map, got a list; begin with \"name: ...\"");
}

TEST_F(Spec, NamesAreSafeFolderNames) {
  const std::string rest = "\nmodel: models/tiny.yaml\narms: [{}]\nworkloads: [speed: {batch: q1}]\n";
  for (const char* name : {"''", "'.'", "..", "a/b", "\"a\\nb\"", "\"a\\0b\""})
    EXPECT_TRUE(error(std::string("name: ") + name + rest).starts_with("f.yaml:1:7: name: ")) << name;
  EXPECT_EQ(error("name: 2024" + rest), "f.yaml:1:7: name: expected text, got 2024; put it in quotes");
  EXPECT_EQ(error("name: kv heads_1.2" + rest), "no error");
}

TEST_F(Spec, RoundsMayAdapt) {
  const std::string rest = kHead + "workloads: [speed: {batch: q1}]\n";
  const ExperimentSpec spec = read(rest +
                                   "repeats: {min: 5, max: 30, until: 2%}\n"
                                   "warmup: 0\n"
                                   "seed: [3, 1, 2]\n"
                                   "limits: {seconds: 600, memory: 1.5 GiB}\n"
                                   "on_error: stop\n");
  EXPECT_EQ(spec.repeats, (Repeats{5, 30, 0.02}));
  EXPECT_EQ(spec.warmup, 0);
  EXPECT_EQ(spec.seeds, (std::vector<std::int64_t>{3, 1, 2}));
  EXPECT_EQ(spec.seed, 3);
  EXPECT_EQ(spec.limits, (Limits{600, (std::uint64_t{3} << 30) / 2}));
  EXPECT_TRUE(spec.stops_on_error);
  EXPECT_EQ(read(rest + "limits: {memory: 4096}\non_error: continue\n").limits, (Limits{0, 4096}));
}

TEST_F(Spec, RoundsSeedsAndLimitsHaveBounds) {
  EXPECT_EQ(error(kHead + "workloads: [speed: {batch: q1}]\n"
                          "repeats: {min: 9, max: 5, until: 200%}\n"
                          "warmup: -1\n"
                          "seed: [1, 2, 1]\n"
                          "limits: {seconds: 0, memory: 8GB}\n"
                          "on_error: go on\n"),
            "f.yaml:5:10: repeats: max 5 is less than min 9\n"
            "f.yaml:5:34: until: 200% is not between 0 and 100 %; write a share as in 2% or 0.02\n"
            "f.yaml:6:9: warmup: -1 is outside 0..100\n"
            "f.yaml:7:7: seed: a seed is there twice; give each once\n"
            "f.yaml:8:19: seconds: 0 is outside 1..10000000\n"
            "f.yaml:8:30: memory: expected bytes, got text \"8GB\"; write bytes as in 8GiB or 512MiB\n"
            "f.yaml:9:11: on_error: expected one of continue, stop, got text \"go on\"");
  EXPECT_EQ(error(kHead + "workloads: [speed: {batch: q1}]\nrepeats: {min: 1, mx: 3}\n"),
            "f.yaml:5:10: the key \"until\" of repeats is missing\n"
            "f.yaml:5:16: min: 1 is outside 2..10000\n"
            "f.yaml:5:19: unknown key \"mx\" of repeats; did you mean \"max\"?");
}

TEST_F(Spec, AModelCanBeMadeByCode) {
  const std::string rest = "arms: [{}]\nworkloads: [recall: {length: 64, pairs: 4, examples: 2}]\n";
  const ExperimentSpec spec = read("name: x\nmodel: {constructed: recall}\n" + rest);
  EXPECT_EQ(spec.constructed, "recall");
  EXPECT_TRUE(spec.model.path.empty());
  EXPECT_EQ(error("name: x\nmodel: {constructed: recal}\n" + rest),
            "f.yaml:2:22: constructed: expected one of recall, got text \"recal\"; did you mean \"recall\"?");
  EXPECT_EQ(error("name: x\nmodel: {made: recall}\n" + rest),
            "f.yaml:2:8: the key \"constructed\" of model is missing\n"
            "f.yaml:2:9: unknown key \"made\" of model; known keys: constructed");
}

TEST_F(Spec, OfSeveralModelsAndTextsTheFirstThatIsThereIsTaken) {
  write("there.yaml", "hidden_size: 8\n");
  write("text.txt", "words");
  const std::string workload = "workloads: [perplexity: {text: [no.txt, text.txt], context: 8}]\n";
  const std::string rest = "arms: [{}]\n" + workload;
  const ExperimentSpec spec = read("name: x\nmodel: [none/a, none/b, there.yaml, later.yaml]\n" + rest);
  EXPECT_EQ(spec.model.path.filename(), "there.yaml");
  EXPECT_EQ(as<PerplexityWorkload>(spec.workloads[0]).text.filename(), "text.txt");
  const std::string none = error("name: x\nmodel: [none/a, none/b]\n" + rest);
  EXPECT_TRUE(none.starts_with("f.yaml:2:17: model: there is no file or folder ")) << none;
  EXPECT_EQ(error("name: x\nmodel: []\n" + rest), "f.yaml:2:8: model: the list is empty; name at least one path");
}

TEST_F(Spec, RecallIsAShapeThatHoldsAnExample) {
  const ExperimentSpec spec = read(kHead + "workloads: [recall: {length: 256, pairs: 16, examples: 32, seed: 7}]\n");
  const auto& recall = as<RecallWorkload>(spec.workloads[0]);
  EXPECT_EQ(recall.shape.length, 256);
  EXPECT_EQ(recall.shape.pairs, 16);
  EXPECT_EQ(recall.shape.vocab, 8192);
  EXPECT_EQ(recall.examples, 32);
  EXPECT_EQ(recall.seed_or(1), 7U);
  EXPECT_EQ(labels("recall: {length: 8, pairs: 1, examples: 2}, recall: {length: 8, pairs: 1, examples: 2}, "
                   "recall: {length: 8, pairs: 1, examples: 2, vocab: 64, seed: 3}"),
            (std::vector<std::string>{"recall length8_pairs1_examples2", "recall length8_pairs1_examples2_2",
                                      "recall length8_pairs1_examples2_vocab64_seed3"}));
  EXPECT_EQ(error(kHead + "workloads:\n  - recall: {length: 63, pairs: 4, examples: 1}\n"
                          "  - recall: {length: 64, pairs: 17, examples: 1}\n"
                          "  - recall: {length: 64, pairs: 4, examples: 0, vocab: 8}\n"
                          "  - recall: {pairs: 0, examples: 1, sead: 2}\n"),
            "f.yaml:5:5: recall: the length 63 is odd; pairs and places take two tokens each\n"
            "f.yaml:6:5: recall: 17 pairs do not fit into a length of 64; a pair needs four tokens: its own two and a "
            "place for its query\n"
            "f.yaml:7:5: recall: 4 pairs leave nothing of a vocabulary of 8; keys and values are all different, and "
            "the other tokens are none of them\n"
            "f.yaml:7:46: examples: 0 is outside 1..2147483647\n"
            "f.yaml:8:13: the key \"length\" of recall is missing\n"
            "f.yaml:8:21: pairs: 0 is outside 1..2147483647\n"
            "f.yaml:8:37: unknown key \"sead\" of recall; did you mean \"seed\"?");
}

TEST_F(Spec, ABaselineIsTheFirstArmThatIsLikeIt) {
  const std::string yaml =
      "name: x\nmodel: models\narms: {grid: {attention: [mha, mqa], cache: [full, window]}}\n"
      "workloads: [speed: {batch: q1}]\n";
  EXPECT_EQ(read(yaml + "baseline: {cache: window}\n").baseline, 1U);
  EXPECT_EQ(read(yaml + "baseline: mqa/rope/full\n").baseline, 2U);
  EXPECT_EQ(error(yaml + "baseline: {attention: gqa}\n"),
            "f.yaml:5:11: baseline: no arm is like this; known arms: mha/rope/full, mha/rope/window, mqa/rope/full, "
            "mqa/rope/window");
  EXPECT_EQ(error(yaml + "baseline: mqa/rope/ful\n"),
            "f.yaml:5:11: baseline: no arm is like this; did you mean \"mqa/rope/full\"?");
  EXPECT_EQ(error(yaml + "baseline: {}\n"),
            "f.yaml:5:11: baseline: names nothing; name model, attention, position, cache, weights or compute");
  EXPECT_EQ(error(yaml + "baseline: {atention: mha}\n"),
            "f.yaml:5:12: unknown key \"atention\" of baseline; did you mean \"attention\"?");
}

TEST_F(Spec, FurtherArmsToCompareWithAreNamedLikeTheBaseline) {
  const std::string yaml =
      "name: x\nmodel: models\narms: {grid: {attention: [mha, mqa], cache: [full, window]}}\n"
      "workloads: [speed: {batch: q1}]\n";
  EXPECT_TRUE(read(yaml).compare_with.empty());
  EXPECT_EQ(read(yaml + "compare_with: [mqa/rope/full, {cache: window}]\n").compare_with,
            (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(read(yaml + "compare_with: mqa/rope/full\n").compare_with, (std::vector<std::size_t>{2}));
  EXPECT_EQ(error(yaml + "compare_with: [mqa/rope/ful, mha/rope/full, mqa/rope/full, {attention: mqa}]\n"),
            "f.yaml:5:16: compare_with: no arm is like this; did you mean \"mqa/rope/full\"?\n"
            "f.yaml:5:30: compare_with: \"mha/rope/full\" is the baseline; all arms are compared with it anyway: leave "
            "it out\n"
            "f.yaml:5:60: compare_with: \"mqa/rope/full\" is there twice; name it once");
  ExperimentSpec spec = read(yaml + "compare_with: [mqa/rope/full]\n");
  EXPECT_EQ(spec.keep_only("mha/rope/full"), "");
  ASSERT_EQ(spec.arms.size(), 2U) << "what is compared with stays in";
  ASSERT_EQ(spec.compare_with.size(), 1U);
  EXPECT_EQ(spec.arms[spec.compare_with[0]].name, "mqa/rope/full");
  EXPECT_EQ(spec.arms[spec.baseline].name, "mha/rope/full");
  // No baseline is declared, so one of those that stay in is it, and that is said of the right one.
  spec = read(yaml + "compare_with: [mha/rope/window]\n");
  expect_contains(spec.keep_only("mqa/rope/full"), "compared with mha/rope/window, the first arm that is left");
  EXPECT_EQ(spec.arms[spec.baseline].name, "mha/rope/window");
  EXPECT_TRUE(spec.compare_with.empty());
}

TEST_F(Spec, OnlyKeepsArmsAndTheirBaseline) {
  const std::string yaml =
      "name: x\nmodel: models\narms: {grid: {attention: [mha, mqa], cache: [full, window]}}\n"
      "baseline: {attention: mqa, cache: window}\nworkloads: [speed: {batch: q1}]\n";
  const auto names = [](const ExperimentSpec& spec) {
    std::string all;
    for (const Arm& arm : spec.arms) all += arm.name + " ";
    return all;
  };
  ExperimentSpec spec = read(yaml);
  EXPECT_EQ(spec.keep_only("*/window"), "");
  EXPECT_EQ(names(spec), "mha/rope/window mqa/rope/window ");
  EXPECT_EQ(spec.arms[spec.baseline].name, "mqa/rope/window");
  // A baseline that is declared is never another arm: it stays, in its place, and that is said.
  spec = read(yaml);
  EXPECT_EQ(spec.keep_only("mha*"),
            "--only mha*: the baseline mqa/rope/window runs too, since the others are compared with it");
  EXPECT_EQ(names(spec), "mha/rope/full mha/rope/window mqa/rope/window ");
  EXPECT_EQ(spec.arms[spec.baseline].name, "mqa/rope/window");
}

TEST_F(Spec, OnlySaysWhichArmBecomesTheBaselineWhereNoneIsDeclared) {
  const std::string yaml =
      "name: x\nmodel: models\narms: [{attention: mha}, {attention: gqa}, {attention: mqa}]\n"
      "workloads: [speed: {batch: q1}]\n";
  ExperimentSpec spec = read(yaml);
  expect_contains(spec.keep_only("[gm]qa*"), "compared with gqa/rope/full, the first arm that is left");
  EXPECT_EQ(spec.arms.size(), 2U);
  EXPECT_EQ(spec.arms[spec.baseline].name, "gqa/rope/full");
  spec = read(yaml);
  EXPECT_EQ(spec.keep_only("mqa*"), "") << "one arm is compared with nothing";
  EXPECT_EQ(spec.arms.size(), 1U);
}

TEST_F(Spec, OnlyThatMatchesNothingSaysThatItIsAGlobAndNamesTheNearestArms) {
  ExperimentSpec spec = read(
      "name: x\nmodel: models\narms: {grid: {attention: [mha, mqa], cache: [full, {window: {}, tags: [small]}]}}\n"
      "workloads: [speed: {batch: q1}]\n");
  EXPECT_EQ(
      error_of([&] { (void)spec.keep_only("window"); }),
      "--only window: no arm has such a name or tag; it is a glob over the whole name or a tag, such as '*/full'; "
      "'*window*' is in mha/rope/window, mqa/rope/window");
  expect_contains(error_of([&] { (void)spec.keep_only("mqa/rope/fulll"); }), "did you mean \"mqa/rope/full\"?");
  expect_contains(error_of([&] { (void)spec.keep_only("smal"); }), "'*smal*' is in mha/rope/window, mqa/rope/window");
  expect_contains(error_of([&] { (void)spec.keep_only("xyz*"); }), "known arms and tags: ");
}

TEST_F(Spec, OverridesAreCheckedLikeTheFile) {
  const std::string yaml = kHead + "workloads:\n  - speed: {batch: [q512]}\n";
  const ExperimentSpec spec = read(yaml, {"threads=2", "workloads.0.speed.batch=q1", "arms=[{attention: mqa}]"});
  EXPECT_EQ(spec.threads, 2);
  EXPECT_EQ(spec.workloads[0].labels, (std::vector<std::string>{"q1"}));
  EXPECT_EQ(spec.arms[0].name, "mqa/rope/full");
  EXPECT_EQ(error(yaml, {"thread=2"}),
            "--set thread=2: unknown key \"thread\" of the experiment; did you mean \"threads\"?");
  EXPECT_EQ(error(yaml, {"workloads.0.speed.batch=[q1, 1q]", "model=gone"}),
            "--set model=gone: model: there is no file or folder \"gone\"\n"
            "--set workloads.0.speed.batch=[q1, 1q]: batch \"1q\": expected a number, got the end; write "
            "<count>q<new tokens>[k][s<total length>[k]], joined by _, as in 8q1s1k");
  EXPECT_EQ(error(yaml, {"workloads.1=x"}),
            "--set workloads.1=x: \"workloads\" is a list, and \"1\" is no index of it; write 0..0");
}

TEST_F(Spec, ProblemsOfTheModelJoinThoseOfTheFile) {
  SpecDocument document = open_spec(write("f.yaml", kHead + "workloads: []\n"));
  document.problems.add(document.model.where, Error("models/tiny.yaml:1:14", "hidden_size: 64 is odd"));
  EXPECT_EQ(error_of([&] { (void)read_spec(document, sample_lookup()); }).substr(0, 44),
            "models/tiny.yaml:1:14: hidden_size: 64 is od");
}

TEST_F(Spec, CasesHaveLabels) {
  EXPECT_EQ(labels("speed: {batch: q512}"), (std::vector<std::string>{"speed q512"}));
  EXPECT_EQ(
      labels("speed: {prompt: [512, 1024], generate: 64, sequences: [1, 2]}"),
      (std::vector<std::string>{"speed prompt512_generate64_sequences1", "speed prompt512_generate64_sequences2",
                                "speed prompt1024_generate64_sequences1", "speed prompt1024_generate64_sequences2"}));
  EXPECT_EQ(
      labels("perplexity: {text: sample.txt, context: 64}, perplexity: {text: sample.txt, context: 64, prefill: 32, "
             "max_windows: 4}"),
      (std::vector<std::string>{"perplexity sample_context64", "perplexity sample_context64_prefill32_windows4"}));
  EXPECT_EQ(
      labels("perplexity: {text: sample.txt, context: 64, prefill: all}, perplexity: {text: sample.txt, context: "
             "32, prefill: 32}, recall: {length: 64, pairs: 4, examples: 2, prefill: all}, "
             "recall: {length: 64, pairs: 4, examples: 2, prefill: 16}, recall: {length: 64, pairs: 4, examples: 2}"),
      (std::vector<std::string>{"perplexity sample_context64_prefill_all", "perplexity sample_context32_prefill_all",
                                "recall length64_pairs4_examples2_prefill_all",
                                "recall length64_pairs4_examples2_prefill16", "recall length64_pairs4_examples2"}));
  EXPECT_EQ(labels("generate: {prompt: a, tokens: 8}, generate: {prompt: b, tokens: 8}"),
            (std::vector<std::string>{"generate tokens8", "generate tokens8_2"}));
}

TEST_F(Spec, SpeedIsABatchOrAPrompt) {
  const std::string at = "--set workloads=[speed: ";
  const auto speed_error = [&](const std::string& options) {
    const std::string text = workload_error("speed: " + options);
    const std::string prefix = at + options + "]: ";
    EXPECT_TRUE(text.starts_with(prefix)) << text;
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  };
  EXPECT_EQ(speed_error("{}"), "speed: nothing to measure; give batch, or prompt and generate");
  EXPECT_EQ(speed_error("{batch: []}"), "batch: the list is empty; write batches such as q512 or 8q1s1k");
  EXPECT_EQ(speed_error("{batch: [q1, q1]}"), "the batch \"q1\" is there twice");
  EXPECT_EQ(speed_error("{batch: q1, prompt: 4}"),
            "speed: prompt stands beside batch; give batch, or prompt and generate; both need two workloads");
  EXPECT_EQ(speed_error("{prompt: 4}"), "the key \"generate\" of speed is missing");
  EXPECT_EQ(speed_error("{prompt: 4, generate: 0}"), "generate: 0 is outside 1..2147483647");
  EXPECT_EQ(speed_error("{prompt: [4, 4], generate: 1}"),
            "speed: the case \"prompt4_generate1_sequences1\" is there twice");
  EXPECT_EQ(speed_error("{prompt: 2000000000, generate: 2000000000}"),
            "speed: prompt2000000000_generate2000000000_sequences1 has more than 2147483647 rows in all");
  EXPECT_EQ(speed_error("{bach: q1}"), "unknown key \"bach\" of speed; did you mean \"batch\"?");
}

TEST_F(Spec, WorkloadsAreCheckedWhereTheyStand) {
  EXPECT_EQ(
      error(kHead + "workloads:\n"
                    "  - perplexity: {text: gone.txt, context: 1, prefill: 0}\n"
                    "  - perplexity: {text: models, context: 64, prefill: 65, windows: 3}\n"
                    "  - generate: {prompt: 5, tokens: 0, temperature: -1, top_k: -1, top_p: 2, seed: x}\n"
                    "  - generate: {prompt: a, tokens: 1, top_p: 0}\n"
                    "  - speed\n"
                    "  - {}\n"),
      "f.yaml:5:24: text: there is no file \"gone.txt\"\n"
      "f.yaml:5:43: context: 1 is outside 2..2147483647\n"
      "f.yaml:5:55: prefill: 0 is outside 1..2147483647\n"
      "f.yaml:6:24: text: \"models\" is a folder; name a file\n"
      "f.yaml:6:54: prefill: 65 is more than the context of 64\n"
      "f.yaml:6:58: unknown key \"windows\" of perplexity; known keys: text, context, prefill, stride, max_windows\n"
      "f.yaml:7:24: prompt: expected text, got 5; put it in quotes\n"
      "f.yaml:7:35: tokens: 0 is outside 1..2147483647\n"
      "f.yaml:7:51: temperature: -1 is less than 0\n"
      "f.yaml:7:62: top_k: -1 is outside 0..2147483647\n"
      "f.yaml:7:73: top_p: 2 is outside 0..1\n"
      "f.yaml:7:82: seed: expected an integer, got text \"x\"\n"
      "f.yaml:8:45: top_p: 0 is not more than 0\n"
      "f.yaml:9:5: speed: nothing to measure; give batch, or prompt and generate\n"
      "f.yaml:10:5: workload: expected a name, got an empty map; write NAME or {NAME: {OPTION: VALUE}}");
  EXPECT_EQ(error(kHead + "workloads: {speed: {batch: q1}}\n"),
            "f.yaml:4:12: workloads: expected a list, got a map; write \"- speed: {batch: [q512]}\"");
  EXPECT_EQ(error(kHead + "workloads: []\n"),
            "f.yaml:4:12: workloads: expected a list, got an empty one; write \"- speed: {batch: [q512]}\"");
  EXPECT_EQ(error(kHead + "workloads: [speed: {batch: q1}, speed: {batch: q1}]\n"),
            "f.yaml:4:33: speed: the case \"q1\" is also in the workload at f.yaml:4:13");
}

TEST_F(Spec, PathsAreRelativeToTheFile) {
  fs::create_directories(folder_ / "deep");
  write("deep/g.yaml", "name: x\nmodel: ../models/tiny.yaml\narms: [{}]\nworkloads: [speed: {batch: q1}]\n");
  const ExperimentSpec spec = read_spec(open_spec(folder_ / "deep/g.yaml"), sample_lookup());
  EXPECT_EQ(spec.model.path, folder_ / "models/tiny.yaml");
  EXPECT_EQ(error("name: x\nmodel: deep/er/tiny.yaml\narms: [{}]\nworkloads: [speed: {batch: q1}]\n"),
            "f.yaml:2:8: model: there is no file or folder \"deep/er/tiny.yaml\"; there is no folder \"deep/er\"");
  EXPECT_EQ(error("name: x\nmodel: ''\narms: [{}]\nworkloads: [speed: {batch: q1}]\n"),
            "f.yaml:2:8: model: \"\" is no path");
}

}  // namespace
}  // namespace attnlab::experiment
