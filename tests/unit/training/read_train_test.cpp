// `train:` and the file of `attnlab train`: what they mean, and every mistake with its place.
#include "training/read_train.h"

#include <gtest/gtest.h>

#include "training/train_file.h"
#include "unit/model_test_files.h"
#include "unit/spec_samples.h"

namespace attnlab::training {
namespace {

using model_test::refusal;

constexpr const char* kWhole = R"(
task: {recall: {length: 64, pairs: 4}}
batch: 64
steps: 3k
optimiser: {adamw: {lr: 3.0e-3}}
)";

TrainChoice read_text(const std::string& text) {
  config::ProblemList problems;
  const config::Node node = config::parse_text(text, "t.yaml");
  TrainChoice train = read_train(node, problems);
  problems.throw_if_any();
  return train;
}

std::string refusal_of(const std::string& text) {
  return refusal([&] { (void)read_text(text); });
}

// The whole with one line put in place of the one that begins like it, or added.
std::string with_line(const std::string& line) {
  const std::string key = line.substr(0, line.find(':') + 1);
  std::string text = kWhole;
  if (const std::size_t at = text.find("\n" + key); at != std::string::npos)
    text.replace(at + 1, text.find('\n', at + 1) - at - 1, line);
  else
    text += line + "\n";
  return text;
}

std::string refusal_with(const std::string& line) {
  return refusal_of(with_line(line));
}

TEST(ReadTrain, HasTheDefaultsForWhatIsNotWritten) {
  const TrainChoice train = read_text(kWhole);
  EXPECT_TRUE(train.task.find("recall") != nullptr);
  EXPECT_EQ(train.batch, 64);
  EXPECT_EQ(train.accumulate, 1);
  EXPECT_EQ(train.length.unit, LengthUnit::steps);
  EXPECT_EQ(train.length.count, 3000);
  EXPECT_EQ(std::get<AdamwOptions>(train.optimiser.options),
            (AdamwOptions{.lr = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1}));
  EXPECT_EQ(train.schedule.kind, ScheduleKind::constant);
  EXPECT_EQ(train.clip, 1);
  EXPECT_EQ(train.dropout, 0);
  EXPECT_TRUE(train.search.empty());
  EXPECT_FALSE(train.evaluate || train.stop);
}

TEST(ReadTrain, TakesEverythingThatCanBeWritten) {
  const TrainChoice train = read_text(R"(
task: {tokens: {file: ids.txt, length: 32, order: sequential}}
batch: 12
accumulate: 3
tokens: 5M
optimiser: {muon: {momentum: 0.9, weight_decay: 0, adamw: {lr: 1.0e-3, betas: [0.8, 0.99], eps: 1.0e-6, weight_decay: 0.2}}}
schedule: {wsd: {warmup: 100, decay: 30%, final: 0.05}}
clip: 0
dropout: 0.1
search: {lr: [1.0e-3, 3.0e-3, 1.0e-2]}
evaluate: {every: 200, batches: 4}
stop: {accuracy: 0.99}
x-note: anything
)");
  EXPECT_EQ(train.accumulate, 3);
  EXPECT_EQ(train.length.unit, LengthUnit::tokens);
  EXPECT_EQ(train.length.count, 5e6);
  const MuonOptions muon{.lr = 0,
                         .momentum = 0.9,
                         .weight_decay = 0,
                         .adamw = {.lr = 1e-3, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.2}};
  EXPECT_EQ(std::get<MuonOptions>(train.optimiser.options), muon);
  EXPECT_EQ(train.schedule.kind, ScheduleKind::wsd);
  EXPECT_EQ(train.schedule.warmup, 100);
  EXPECT_DOUBLE_EQ(train.schedule.decay, 0.3);
  EXPECT_DOUBLE_EQ(train.schedule.last, 0.05);
  EXPECT_EQ(train.clip, 0);
  EXPECT_EQ(train.dropout, 0.1);
  EXPECT_EQ(train.search, (std::vector<double>{1e-3, 3e-3, 1e-2}));
  EXPECT_EQ(train.evaluate->every, 200);
  EXPECT_EQ(train.evaluate->batches, 4);
  EXPECT_EQ(train.stop->accuracy, 0.99);
  EXPECT_FALSE(train.stop->loss);
  EXPECT_EQ(read_text(with_line("optimiser: {sgd: {lr: 0.1, momentum: 0}}")).optimiser.rate(), 0.1);
}

TEST(ReadTrain, IsDescribedSoThatReadingItAgainGivesTheSame) {
  for (const char* line :
       {"schedule: {cosine: {warmup: 100, final: 0.1}}", "schedule: {wsd: {warmup: 7, decay: 0.25, final: 0}}",
        "schedule: {constant: {warmup: 3}}", "optimiser: {sgd: {lr: 0.125, momentum: 0.5}}",
        "optimiser: {muon: {lr: 0.02, adamw: {lr: 3.0e-3}}}", "evaluate: {every: 5, batches: 3}", "clip: 0.5",
        "dropout: 0.25"}) {
    const nlohmann::ordered_json once = describe_train(read_text(with_line(line)));
    nlohmann::ordered_json whole = once;
    whole["task"] = "recall";
    EXPECT_EQ(describe_train(read_text(whole.dump())), once) << line;
  }
  EXPECT_EQ(describe_train(read_text(kWhole)).dump(),
            R"({"batch":64,"accumulate":1,"steps":3000,"optimiser":{"adamw":{"lr":0.003,"betas":[0.9,0.95],)"
            R"("eps":1e-08,"weight_decay":0.1}},"schedule":{"constant":{"warmup":0}},"clip":1.0,"dropout":0.0})");
}

TEST(ReadTrain, OfALearningRateThatTrainsNothing) {
  EXPECT_EQ(refusal_with("optimiser: {adamw: {lr: 0}}"),
            "t.yaml:5:25: lr: 0 is no learning rate; write a rate above 0, as 3.0e-3");
  EXPECT_EQ(refusal_with("optimiser: {sgd: {lr: -0.1}}"),
            "t.yaml:5:23: lr: -0.1 is no learning rate; write a rate above 0, as 3.0e-3");
  EXPECT_EQ(refusal_with("optimiser: {muon: {lr: 0.02, adamw: {lr: 0.0}}}"),
            "t.yaml:5:42: lr: 0.0 is no learning rate; write a rate above 0, as 3.0e-3");
  EXPECT_EQ(refusal_with("optimiser: adamw"),
            "t.yaml:5:12: adamw: the learning rate is missing; write lr, or search: {lr: [...]}");
  EXPECT_EQ(refusal_with("optimiser: {muon: {lr: 0.02, adamw: {}}}"),
            "t.yaml:5:37: adamw: the learning rate is missing; write lr, or search: {lr: [...]}");
  EXPECT_EQ(refusal_with("optimiser: {muon: {lr: 0.02}}"), "t.yaml:5:19: the key \"adamw\" of muon is missing");
  EXPECT_EQ(refusal_with("optimiser: {adamw: {lr: .inf}}"), "t.yaml:5:25: lr: expected a finite number, got .inf");
}

TEST(ReadTrain, OfOptimisersAndSchedulesThatAreNotThere) {
  EXPECT_EQ(refusal_with("optimiser: {adam: {lr: 1.0e-3}}"),
            "t.yaml:5:13: optimiser: there is no \"adam\"; did you mean \"adamw\"?");
  EXPECT_EQ(refusal_with("schedule: {cosin: {}}"),
            "t.yaml:6:12: schedule: there is no \"cosin\"; did you mean \"cosine\"?");
  EXPECT_EQ(refusal_with("optimiser: {adamw: {lr: 1.0e-3, weigth_decay: 0}}"),
            "t.yaml:5:33: unknown key \"weigth_decay\" of adamw; did you mean \"weight_decay\"?");
  EXPECT_EQ(refusal_with("schedule: {constant: {final: 0.1}}"),
            "t.yaml:6:23: unknown key \"final\" of constant; known keys: warmup");
  EXPECT_EQ(refusal_with("optimiser: {adamw: {lr: 1.0e-3, betas: [0.9]}}"),
            "t.yaml:5:40: betas: 1 numbers, expected two; write [0.9, 0.95]");
  EXPECT_EQ(refusal_with("optimiser: {adamw: {lr: 1.0e-3, betas: [0.9, 1]}}"),
            "t.yaml:5:46: betas: 1 is outside 0..0.9999999");
}

TEST(ReadTrain, OfAScheduleThatIsLongerThanTheRun) {
  EXPECT_EQ(refusal_with("schedule: {cosine: {warmup: 3001}}"),
            "t.yaml:6:12: the warm-up of 3001 steps is longer than the run of 3000; warm up in at most 3000 steps, or "
            "train longer");
  EXPECT_EQ(read_text(with_line("schedule: {cosine: {warmup: 3000}}")).schedule.warmup, 3000);
}

TEST(ReadTrain, OfASearchBesideAFixedRate) {
  EXPECT_EQ(refusal_of(std::string(kWhole) + "search: {lr: [0.1, 0.2]}\nevaluate: {every: 10}\n"),
            "t.yaml:5:25: lr: a rate stands beside `search`, which gives the rates; leave one of the two out");
  const std::string searched = with_line("optimiser: adamw");
  EXPECT_EQ(refusal_of(searched + "search: {lr: [0.1, 0.2]}\n"),
            "t.yaml:6:9: search: nothing is measured on held-out data; add evaluate: {every: 200}");
  EXPECT_EQ(refusal_of(searched + "search: {lr: [0.1, 0]}\nevaluate: {every: 10}\n"),
            "t.yaml:6:20: lr: 0 is no learning rate; write a rate above 0, as 3.0e-3");
  EXPECT_EQ(refusal_of(searched + "search: {lr: [0.1, 0.10]}\nevaluate: {every: 10}\n"),
            "t.yaml:6:20: lr: 0.10 is there twice; give each once");
  EXPECT_EQ(refusal_of(searched + "search: {lr: [0.1]}\nevaluate: {every: 10}\n"),
            "t.yaml:6:14: lr: expected a list of two or more rates, got one of fewer; write [1.0e-3, 3.0e-3]");
  EXPECT_EQ(refusal_of(searched + "search: {lr: 0.1}\nevaluate: {every: 10}\n"),
            "t.yaml:6:14: lr: expected a list of two or more rates, got 0.1; write [1.0e-3, 3.0e-3]");
}

TEST(ReadTrain, OfALengthThatIsMissingOrThereTwice) {
  EXPECT_EQ(refusal_of("task: recall\nbatch: 4\noptimiser: {sgd: {lr: 1}}\n"),
            "t.yaml:1:1: train: the length of the run is missing; write steps, tokens, epochs or seconds");
  EXPECT_EQ(refusal_with("epochs: 2"),
            "t.yaml:6:9: epochs stands beside steps: a run has one length; leave one of the two out");
  EXPECT_EQ(refusal_of("task: recall\nbatch: 4\nstep: 5\noptimiser: {sgd: {lr: 1}}\n"),
            "t.yaml:3:1: unknown key \"step\" of train; did you mean \"steps\"?");
  EXPECT_EQ(refusal_with("steps: 0"), "t.yaml:4:8: steps: 0 is less than 1");
}

TEST(ReadTrain, OfPartsThatDoNotFitTogether) {
  EXPECT_EQ(refusal_with("accumulate: 3"),
            "t.yaml:6:13: accumulate: a batch of 64 has no 3 equal parts; write a divisor of the batch");
  EXPECT_EQ(refusal_with("stop: {accuracy: 0.99}"),
            "t.yaml:6:7: stop: nothing is measured on held-out data; add evaluate: {every: 200}");
  EXPECT_EQ(refusal_of(std::string(kWhole) + "stop: {accuracy: 0.9, loss: 1}\nevaluate: {every: 10}\n"),
            "t.yaml:6:7: stop: expected one of accuracy and loss; write {accuracy: 0.99} or {loss: 1.5}");
  EXPECT_EQ(refusal_with("dropout: 1"), "t.yaml:6:10: dropout: 1 is outside 0..0.999999");
  EXPECT_EQ(refusal_with("batch: 0"), "t.yaml:3:8: batch: 0 is outside 1..1048576");
  EXPECT_EQ(refusal_with("clip: -1"), "t.yaml:6:7: clip: -1 is outside 0..1000000000");
}

TEST(ReadTrain, TellsAllMistakesAtOnce) {
  EXPECT_EQ(refusal_of("batch: 4\nsteps: 10\noptimiser: {sgd: {lr: 0}}\nschedul: constant\n"),
            "t.yaml:1:1: the key \"task\" of train is missing\n"
            "t.yaml:3:23: lr: 0 is no learning rate; write a rate above 0, as 3.0e-3\n"
            "t.yaml:4:1: unknown key \"schedul\" of train; did you mean \"schedule\"?");
  EXPECT_EQ(refusal_of("[1, 2]"), "t.yaml:1:1: train: expected a map, got a list");
}

TEST(StepsOfATraining, FollowFromItsLength) {
  constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(steps_of(read_text(kWhole), 100, kEndless), 3000);
  const auto of = [](const std::string& length) {
    return read_text("task: recall\nbatch: 4\noptimiser: {sgd: {lr: 1}}\n" + length);
  };
  EXPECT_EQ(steps_of(of("tokens: 1k\n"), 128, kEndless), 8);
  EXPECT_EQ(steps_of(of("epochs: 2.5\n"), 128, 101), 63);
  EXPECT_EQ(steps_of(of("seconds: 30\n"), 128, kEndless), std::nullopt);
  EXPECT_EQ(refusal([&] { (void)steps_of(of("epochs: 2\n"), 128, kEndless); }),
            "t.yaml:4:9: epochs: the task has no end, so it has no epochs; say steps or tokens, or limit the task's "
            "examples");
  EXPECT_EQ(refusal([&] { (void)steps_of(of("epochs: 0.5\n"), 128, 7); }),
            "t.yaml:4:9: the run is shorter than a step; train longer, or make the batch smaller");
  EXPECT_EQ(refusal([&] { (void)steps_of(of("tokens: 1k\nschedule: {linear: {warmup: 9}}\n"), 128, kEndless); }),
            "t.yaml:5:12: the warm-up of 9 steps is longer than the run of 8; warm up in at most 8 steps, or train "
            "longer");
}

class ReadTrainFile : public testing::Test {
 protected:
  ReadTrainFile() { folder_.write("model.yaml", "hidden_size: 64\n"); }

  TrainFile read(const std::string& text) {
    return read_train_file(folder_.write("t.yaml", text), experiment::sample_lookup());
  }
  // Without the folder, which has another name each time.
  std::string refusal_of_file(const std::string& text) {
    std::string told = refusal([&] { (void)read(text); });
    const std::string prefix = folder_.path().string() + "/";
    for (std::size_t at; (at = told.find(prefix)) != std::string::npos;) told.erase(at, prefix.size());
    return told;
  }

  model_test::TempFolder folder_;
};

constexpr const char* kTrain = "train: {task: recall, batch: 4, steps: 12, optimiser: {sgd: {lr: 0.1}}}\n";

TEST_F(ReadTrainFile, NamesAModelASeedAndWhatIsReplaced) {
  const TrainFile file = read(std::string("model: model.yaml\nseed: 7\nattention: {gqa: {kv_heads: 2}}\n") + kTrain);
  EXPECT_EQ(file.model, folder_.path() / "model.yaml");
  EXPECT_EQ(file.seed, 7);
  EXPECT_EQ(file.attention->base.id, "gqa");
  EXPECT_FALSE(file.position);
  EXPECT_EQ(file.train.length.count, 12);
  EXPECT_EQ(read(std::string("model: model.yaml\n") + kTrain).seed, 1);
}

TEST_F(ReadTrainFile, MayIncludeAnother) {
  folder_.write("base.yaml", std::string("model: model.yaml\n") + kTrain);
  const TrainFile file = read("include: base.yaml\ntrain: {steps: 5}\n");
  EXPECT_EQ(file.train.length.count, 5);
  EXPECT_EQ(file.train.batch, 4);
}

TEST_F(ReadTrainFile, TellsAllMistakesAtOnce) {
  EXPECT_EQ(refusal_of_file("model: gone.yaml\nsed: 1\nattention: gka\ntrain: {task: recall, batch: 4, steps: 12}\n"),
            "t.yaml:1:8: model: there is no file or folder \"gone.yaml\"; did you mean \"model.yaml\"?\n"
            "t.yaml:2:1: unknown key \"sed\" of the training; did you mean \"seed\"?\n"
            "t.yaml:3:12: unknown component \"gka\"; did you mean \"gqa\"?\n"
            "t.yaml:4:8: the key \"optimiser\" of train is missing");
  EXPECT_EQ(refusal_of_file("- 1\n"),
            "t.yaml:1:1: the training: expected a map, got a list; begin with \"model: ...\"");
  EXPECT_EQ(refusal_of_file("seed: 1\n"),
            "t.yaml:1:1: the key \"model\" of the training is missing\n"
            "t.yaml:1:1: the key \"train\" of the training is missing");
}

}  // namespace
}  // namespace attnlab::training
