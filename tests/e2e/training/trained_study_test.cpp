// `train:` in an experiment: what is trained once for several arms, what is kept of several rates, what is left after
// kills, what diverges, and what is refused before anything runs.
#include <random>
#include <set>

#include <nlohmann/json.hpp>

#include "e2e/background.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

constexpr const char* kModel =
    "hidden_size: 32\nintermediate_size: 48\nnum_hidden_layers: 2\nnum_attention_heads: 4\nnum_key_value_heads: 2\n"
    "vocab_size: 64\nmax_position_embeddings: 64\nrms_norm_eps: 1.0e-5\nrope_theta: 10000\ninitializer_range: 0.05\n"
    "tie_word_embeddings: true\n";

std::string train(const std::string& more = "  optimiser: {adamw: {lr: 3.0e-3}}\n",
                  const std::string& length = "steps: 30") {
  return "train:\n  task: {recall: {length: 32, pairs: 4, vocab: 64}}\n  batch: 8\n  " + length +
         "\n  schedule: {cosine: {warmup: 5}}\n" + more;
}

Experiment study(const std::string& more) {
  return {.model = "model.yaml",
          .arms = "\n  grid:\n    attention: [gqa, {gqa: {kv_heads: 1}}]\n    cache: [full, {window: {window: 16}}]",
          .workloads = "[{recall: {length: 32, pairs: 4, examples: 20, vocab: 64}}]",
          .more = "warmup: 0\nthreads: 2\n" + more};
}

class TrainedStudy : public testing::Test {
 protected:
  void SetUp() override { sandbox_.write("model.yaml", kModel); }

  CsvTable run(const Experiment& experiment) {
    sandbox_.write("study.yaml", experiment.yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
    return summary_of(sandbox_ / "out");
  }

  // By file name, without those that describe how trainings ended.
  [[nodiscard]] std::set<std::string> curves(const std::string& results) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(sandbox_ / results / "training"))
      if (const std::string name = entry.path().filename().string();
          name.ends_with(".csv") && !name.ends_with(".held-out.csv"))
        names.insert(name);
    return names;
  }

  // Of the training that runs; empty where there is none.
  [[nodiscard]] fs::path kept_state(const std::string& results) const {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(sandbox_ / results / "training", none))
      if (entry.path().string().ends_with(".state.safetensors")) return entry.path();
    return {};
  }

  const Sandbox sandbox_;
};

std::string value_of(const CsvTable& table, const std::string& arm, const std::string& workload,
                     const std::string& metric) {
  const auto rows = table.where({{"arm", arm}, {"workload", workload}, {"metric", metric}});
  if (rows.empty()) {
    ADD_FAILURE() << arm << " has no " << metric << " of " << workload;
    return {};
  }
  return table.at(rows.front(), "median");
}

TEST_F(TrainedStudy, TrainsArmsThatDifferInTheirCachesOnce) {
  const CsvTable table = run(study("seed: [1, 2]\n" + train()));
  EXPECT_EQ(curves("out").size(), 4U) << "two attentions, two seeds";
  const std::string both = value_of(table, "gqa/rope/full", "train", "validation_loss");
  EXPECT_EQ(value_of(table, "gqa/rope/window", "train", "validation_loss"), both);
  EXPECT_NE(value_of(table, "gqa(kv_heads=1)/rope/full", "train", "validation_loss"), both);
  for (const char* metric : {"train_loss", "accuracy", "learning_rate", "train_steps", "train_seconds",
                             "train_tokens_per_second", "peak_rss_bytes"})
    value_of(table, "gqa/rope/window", "train", metric);
  EXPECT_EQ(std::stod(value_of(table, "gqa/rope/full", "train", "train_steps")), 30);
  value_of(table, "gqa/rope/window", "recall", "recall_accuracy");
  for (const std::string& name : curves("out")) {
    const std::string id = name.substr(0, name.size() - 4);
    EXPECT_EQ(lines_of(read_file(sandbox_ / "out/training" / name)).size(), 31U);
    EXPECT_EQ(lines_of(read_file(sandbox_ / "out/training" / (id + ".held-out.csv"))).size(), 2U) << "after the last";
    EXPECT_FALSE(fs::exists(sandbox_ / "out/training" / (id + ".state.safetensors")));
    sandbox_.write("ids.txt", "1 2 3");
    expect_well(sandbox_.run({"logits", "out/weights/" + id, "--ids", "ids.txt", "-o", "logits.safetensors"}));
  }
  const auto plan = sandbox_.run({"validate", "study.yaml"});
  expect_mentions(plan.out, {"train gqa/rope/full (and 1 more arm): ", "30 steps, 2 seeds x 1 learning rate\n"});
}

// Caches have no part in a training, whichever stands first and whatever it does to rows.
TEST_F(TrainedStudy, GivesTheSameWeightsUnderEveryCache) {
  const auto weights_under = [&](const std::string& caches, const std::string& results) {
    Experiment experiment = study(train());
    experiment.arms = "\n  grid:\n    cache: " + caches;
    sandbox_.write("study.yaml", experiment.yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", results}));
    std::map<std::string, std::string> weights;
    for (const auto& entry : fs::directory_iterator(sandbox_ / results / "weights"))
      weights[entry.path().filename().string()] = read_file(entry.path() / "model.safetensors");
    return weights;
  };
  const auto full = weights_under("[full]", "full");
  ASSERT_EQ(full.size(), 1U);
  EXPECT_TRUE(weights_under("[{window: {window: 24}}, full]", "window") == full);
  EXPECT_TRUE(weights_under("[{full: {storage: int4}}, {sink: {sinks: 2, window: 8}}]", "int4") == full);
}

TEST_F(TrainedStudy, RefusesArmsWhoseModelDoesNotFitTheTask) {
  Experiment experiment = study(train());
  experiment.arms = "\n  grid:\n    model: [{}, {vocab_size: 32}]\n    cache: [full, {window: {window: 16}}]";
  const CsvTable table = run(experiment);
  EXPECT_EQ(curves("out").size(), 1U);
  for (const char* arm : {"gqa/rope/full/model", "gqa/rope/window/model"}) {
    const auto rows = table.where({{"arm", arm}});
    ASSERT_EQ(rows.size(), 1U) << arm;
    EXPECT_TRUE(table.at(rows.front(), "status").starts_with("refused: recall: its 64 tokens do not fit"));
  }
  experiment.arms = "[{attention: gqa}, {attention: {gqa: {}, layers: {\"1\": mqa}}}]";
  sandbox_.write("study.yaml", experiment.yaml());
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "refused"},
                 {"study.yaml:", "layers with 2 and with 1 kv heads"});
}

TEST_F(TrainedStudy, TrainsAnewWhereTheKeptStateIsDamaged) {
  Experiment experiment = study(train("  optimiser: {adamw: {lr: 3.0e-3}}\n", "steps: 6000"));
  experiment.arms = "[{attention: gqa}]";
  sandbox_.write("study.yaml", experiment.yaml());
  {
    Background run(sandbox_, {"run", "study.yaml", "-o", "out"});
    ASSERT_TRUE(run.wait_until([&] { return !kept_state("out").empty(); })) << run.wait();
  }
  if (const fs::path state = kept_state("out"); !state.empty()) fs::resize_file(state, 100);
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--resume"}));
  EXPECT_EQ(std::stod(value_of(summary_of(sandbox_ / "out"), "gqa/rope/full", "train", "train_steps")), 6000);
}

TEST_F(TrainedStudy, EndsAtOnceWhereItIsInterruptedAndGoesOnWithTheSameBits) {
  Experiment experiment = study(train("  optimiser: {adamw: {lr: 3.0e-3}}\n", "steps: 6000"));
  experiment.arms = "[{attention: gqa}]";
  run(experiment);
  Background interrupted(sandbox_, {"run", "study.yaml", "-o", "interrupted"});
  ASSERT_TRUE(interrupted.wait_until([&] { return !kept_state("interrupted").empty(); })) << interrupted.wait();
  const Outcome outcome = interrupted.end_with(SIGINT);
  EXPECT_EQ(outcome.exit_code, 130) << outcome;
  EXPECT_FALSE(kept_state("interrupted").empty());
  EXPECT_FALSE(fs::exists(sandbox_ / "interrupted/run.lock"));
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "interrupted", "--resume"}));
  ASSERT_EQ(curves("interrupted"), curves("out"));
  const std::string name = *curves("out").begin();
  const std::string weights = "weights/" + name.substr(0, name.size() - 4) + "/model.safetensors";
  EXPECT_TRUE(read_file(sandbox_ / "interrupted" / weights) == read_file(sandbox_ / "out" / weights));
}

TEST_F(TrainedStudy, TrainsEveryModelOfAGridAndSharesItsStart) {
  Experiment experiment = study(train());
  experiment.arms =
      "\n  grid:\n    model: [{hidden_size: 16, head_dim: 8}, {num_hidden_layers: 1}, {num_key_value_heads: 4}]\n"
      "  exclude: [{model: {num_hidden_layers: 1}}]";
  const CsvTable table = run(experiment);
  const std::vector<std::string> arms = table.distinct("arm");
  EXPECT_EQ(arms, (std::vector<std::string>{"gqa/rope/full/model", "mha/rope/full/model"}));
  std::set<int> widths;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/weights"))
    widths.insert(nlohmann::json::parse(read_file(entry.path() / "config.json")).at("hidden_size").get<int>());
  EXPECT_EQ(widths, (std::set<int>{16, 32}));
}

TEST_F(TrainedStudy, KeepsTheRateWithTheLowestMeanHeldOutLoss) {
  const CsvTable table = run(study("seed: [1, 2]\n" + train("  optimiser: adamw\n  search: {lr: [1.0e-6, 1.0e-2]}\n"
                                                            "  evaluate: {every: 10, batches: 2}\n")));
  EXPECT_EQ(curves("out").size(), 8U) << "two attentions, two seeds, two rates";
  std::map<double, double> sums;  // of the held-out loss, by rate, of the first attention
  const auto layout = nlohmann::json::parse(read_file(sandbox_ / "out/environment.json")).at("study");
  for (const auto& training : layout.at("trainings")) {
    if (training.at("arms").at(0) != "gqa/rope/full") continue;
    const std::string id = training.at("id");
    const std::vector<std::string> rows = lines_of(read_file(sandbox_ / "out/training" / (id + ".held-out.csv")));
    EXPECT_EQ(rows.size(), 4U) << "a header, steps 10, 20 and 30";
    const std::string row = rows.back().substr(rows.back().find(',') + 1);
    sums[training.at("learning_rate")] += std::stod(row);
  }
  ASSERT_EQ(sums.size(), 2U);
  const double best = sums.begin()->second < sums.rbegin()->second ? sums.begin()->first : sums.rbegin()->first;
  EXPECT_EQ(std::stod(value_of(table, "gqa/rope/full", "train", "learning_rate")), best);
}

TEST_F(TrainedStudy, SaysOfATrainingThatDivergesThatItDid) {
  Experiment experiment = study(train("  optimiser: {sgd: {lr: 900}}\n  clip: 0\n", "steps: 100"));
  experiment.arms = "\n  - {attention: gqa}\n  - {attention: gqa, name: calm, train: {optimiser: {sgd: {lr: 0.001}}}}";
  sandbox_.write("study.yaml", experiment.yaml());
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  std::map<std::string, std::set<std::string>> status;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials")) {
    if (entry.path().extension() != ".json") continue;
    const auto trial = nlohmann::json::parse(read_file(entry.path()));
    status[trial.at("arm")].insert(trial.at("workload").get<std::string>() + " " +
                                   trial.at("status").get<std::string>());
  }
  EXPECT_EQ(status["gqa/rope/full"], (std::set<std::string>{"train diverged", "recall diverged"}));
  EXPECT_EQ(status["calm"], (std::set<std::string>{"train ok", "recall ok"}));
}

TEST_F(TrainedStudy, StopsAtATrainingThatFailsWhereItIsToStop) {
  Experiment experiment = study("on_error: stop\nlimits: {seconds: 1}\n" + train());
  experiment.arms = "[{attention: gqa}]";
  std::string yaml = experiment.yaml();
  yaml.replace(yaml.find("steps: 30"), 9, "steps: 1M");
  sandbox_.write("study.yaml", yaml);
  const Outcome outcome = sandbox_.run({"run", "study.yaml", "-o", "out"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const CsvTable table = summary_of(sandbox_ / "out");
  for (std::size_t row = 0; row < table.rows(); ++row) EXPECT_EQ(table.at(row, "workload"), "train");
  EXPECT_NE(read_file(sandbox_ / "out/summary.csv").find("timed_out"), std::string::npos);
}

TEST_F(TrainedStudy, MeasuresAnArmThatIsNotTrainedAsItIs) {
  Experiment experiment = study(train());
  experiment.arms = "\n  - {attention: gqa}\n  - {attention: gqa, name: before, train: none}";
  const CsvTable table = run(experiment);
  EXPECT_EQ(curves("out").size(), 1U);
  value_of(table, "before", "recall", "recall_accuracy");
  EXPECT_TRUE(table.where({{"arm", "before"}, {"workload", "train"}}).empty()) << "it was not refused: there is none";
  EXPECT_EQ(read_file(sandbox_ / "out/report.md").find("Not run yet"), std::string::npos);
  EXPECT_TRUE(table.where({{"arm", "before"}, {"workload", "train"}, {"metric", "validation_loss"}}).empty());
}

// Killed at instants that a seed draws, it ends with the weights and figures of an undisturbed run.
TEST_F(TrainedStudy, EndsWithTheSameBitsAfterKills) {
  constexpr int kKills = 8;
  Experiment experiment = study("seed: [1, 2]\n" + train("  optimiser: {adamw: {lr: 3.0e-3}}\n", "steps: 400"));
  experiment.arms = "\n  grid:\n    cache: [full, {window: {window: 16}}]";
  const CsvTable whole = run(experiment);
  std::mt19937 draws(11);
  int killed = 0;
  while (killed < kKills) {
    std::vector<std::string> arguments{"run", "study.yaml", "-o", "killed"};
    if (killed > 0) arguments.emplace_back("--resume");
    Background run(sandbox_, arguments);
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + draws() % 1500));
    if (run.end_with(SIGKILL).exit_code == 0) break;
    ++killed;
  }
  EXPECT_GE(killed, 1);
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "killed", "--resume"}));
  ASSERT_EQ(curves("killed"), curves("out"));
  for (const std::string& name : curves("out")) {
    const std::string weights = "weights/" + name.substr(0, name.size() - 4) + "/model.safetensors";
    EXPECT_TRUE(read_file(sandbox_ / "killed" / weights) == read_file(sandbox_ / "out" / weights)) << name;
  }
  const CsvTable table = summary_of(sandbox_ / "killed");
  for (const char* metric : {"train_loss", "validation_loss", "accuracy"})
    EXPECT_EQ(value_of(table, "gqa/rope/window", "train", metric), value_of(whole, "gqa/rope/window", "train", metric));
  EXPECT_EQ(value_of(table, "gqa/rope/window", "recall", "recall_accuracy"),
            value_of(whole, "gqa/rope/window", "recall", "recall_accuracy"));
}

TEST_F(TrainedStudy, RefusesWhatCannotBeTrainedBeforeAnythingRuns) {
  struct Wrong {
    std::string more;
    std::vector<std::string> said;
    std::string arms = "[{attention: gqa}]";
    std::string model = "model.yaml";
  };
  sandbox_.write("text.txt", "too short");
  const auto with = [](std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    return at == std::string::npos ? text + "  # " + from : text.replace(at, from.size(), to);
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {with(train(), "vocab: 64", "vocab: 65"), {"study.yaml:", "vocab"}},
           {with(train(), "lr: 3.0e-3", "lr: 0"), {"study.yaml:", "lr: 0 is no learning rate"}},
           {with(train(), "warmup: 5", "warmup: 50"), {"study.yaml:", "the warm-up of 50 steps"}},
           {with(train(), "batch: 8", "batch: 0"), {"study.yaml:", "batch"}},
           {train() + "  search: {lr: [1.0e-3, 3.0e-3]}\n", {"study.yaml:", "beside `search`"}},
           {with(train(), "{recall: {length: 32, pairs: 4, vocab: 64}}", "{text: {files: text.txt, context: 32}}"),
            {"text.txt", "context"}},
           {with(train(), "{recall: {length: 32, pairs: 4, vocab: 64}}",
                 "{recall: {length: 32, pairs: 4, vocab: 64, examples: 4}}"),
            {"study.yaml:", "batch"}},
           {"train:\n", {"study.yaml:", "train: is empty"}},
           {"", {"study.yaml:", "train: the experiment has none"}, "[{attention: gqa, train: {steps: 3}}]"},
           {train(), {"study.yaml:", "train: expected keys of train"}, "[{attention: gqa, train: never}]"},
           {train(), {"study.yaml:", "hidden_size"}, "[{attention: gqa, model: {hidden_size: wide}}]"},
           {train(), {"study.yaml:", "width: unknown key of a model"}, "[{attention: gqa, model: {width: 3}}]"},
           {train(), {"study.yaml:", "model: expected keys"}, "[{attention: gqa, model: 3}]"}}) {
    Experiment experiment = study(wrong.more);
    experiment.arms = wrong.arms;
    experiment.model = wrong.model;
    sandbox_.write("study.yaml", experiment.yaml());
    expect_refused(sandbox_, {"run", "study.yaml", "-o", "refused"}, wrong.said);
    EXPECT_FALSE(fs::exists(sandbox_ / "refused"));
  }
  // A checkpoint has its weights: its shape cannot be changed.
  expect_well(
      sandbox_.run({"train", (sandbox_.write("file.yaml", "model: model.yaml\nseed: 1\n" + train()), "file.yaml"), "-o",
                    "trained"}));
  Experiment experiment = study("");
  experiment.model = "trained/checkpoint";
  experiment.arms = "[{attention: gqa, model: {num_hidden_layers: 1}}]";
  sandbox_.write("study.yaml", experiment.yaml());
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "refused"}, {"study.yaml:", "only a model YAML"});
}

}  // namespace
}  // namespace attnlab::program_test
