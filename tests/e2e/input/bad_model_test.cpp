// Models that are wrong before any weight is read: folders that are not there, configurations that cannot be, sequences
// longer than the positions. Model YAMLs are named with line and column, config.json by the key.
#include "e2e/checkpoints.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

std::vector<std::string> logits_of(const std::string& model) {
  return {"logits", model, "--ids", "ids.txt", "-o", "out.safetensors"};
}

TEST(MissingModels, AreNamed) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  expect_refused(sandbox, logits_of("nowhere"), {"nowhere"});
  expect_refused(sandbox, {"generate", "nowhere", "--prompt", "x", "-n", "1"}, {"nowhere"});
  expect_refused(sandbox, {"tokenize", "nowhere", "--text", "x"}, {"nowhere"});
  expect_refused(sandbox, logits_of("ids.txt"), {"ids.txt"});
  fs::create_directory(sandbox / "empty");
  expect_refused(sandbox, logits_of("empty"), {"empty: holds no config.json"});
}

struct BadKey {
  std::string key;
  std::string value;  // as JSON and YAML have it
  std::vector<std::string> mentions = {};
  friend std::ostream& operator<<(std::ostream& stream, const BadKey& test) { return stream << test.key; }
};

class EveryBadKey : public testing::TestWithParam<BadKey> {
 protected:
  void SetUp() override { sandbox_.write("ids.txt", "1 2 3"); }
  Sandbox sandbox_;
};

TEST_P(EveryBadKey, IsRefusedInConfigJson) {
  EditedCheckpoint checkpoint;
  checkpoint.config[GetParam().key] = nlohmann::ordered_json::parse(GetParam().value);
  checkpoint.save(sandbox_, "model");
  std::vector<std::string> parts{"model/config.json", GetParam().key};
  parts.insert(parts.end(), GetParam().mentions.begin(), GetParam().mentions.end());
  expect_refused(sandbox_, logits_of("model"), parts);
  sandbox_.write("study.yaml", Experiment{.model = "model"}.yaml());
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts);
}

TEST_P(EveryBadKey, IsRefusedInAModelYamlWithItsPlace) {
  // tiny.yaml, with the key in a line of its own at the end.
  std::string yaml;
  int line = 1;
  for (const std::string& text : lines_of(read_file(kTinyModel))) {
    if (text.starts_with(GetParam().key + ":")) continue;
    yaml += text + "\n";
    ++line;
  }
  sandbox_.write("model.yaml", yaml + GetParam().key + ": " + GetParam().value + "\n");
  std::vector<std::string> parts{"model.yaml:" + std::to_string(line) + ":1: ", GetParam().key};
  parts.insert(parts.end(), GetParam().mentions.begin(), GetParam().mentions.end());
  expect_refused(sandbox_, logits_of("model.yaml"), parts);
}

INSTANTIATE_TEST_SUITE_P(
    , EveryBadKey,
    testing::Values(BadKey{"num_key_value_heads", "3", {"divisible"}}, BadKey{"hidden_size", "0"},
                    BadKey{"num_attention_heads", "2147483648"}, BadKey{"hidden_size", "-64"},
                    BadKey{"hidden_size", "64.5"}, BadKey{"num_hidden_layers", "10001"},
                    BadKey{"vocab_size", "2147483648"}, BadKey{"vocab_size", "\"many\""},
                    BadKey{"intermediate_size", "0"}, BadKey{"rope_theta", "-1.0"}, BadKey{"rms_norm_eps", "\"small\""},
                    BadKey{"rope_scaling", "{\"rope_type\": \"warp\", \"factor\": 2.0}", {"warp"}},
                    BadKey{"hidden_act", "\"mish\"", {"mish", "silu, swish, gelu"}},
                    BadKey{"architectures", "[\"FalconForCausalLM\"]", {"FalconForCausalLM", "LlamaForCausalLM"}}),
    [](const auto& test) {
      std::string name = test.param.key + "_" + test.param.value;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
      return name;
    });

TEST(ModelYamls, RefuseKeysThatTheyDoNotKnowWithTheNearestOne) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  sandbox.write("model.yaml", "hiden_size: 64\n" + read_file(kTinyModel));
  expect_refused(sandbox, logits_of("model.yaml"), {"model.yaml:1:1: ", "hiden_size", "did you mean hidden_size?"});
}

TEST(ModelYamls, RefuseBodiesThatThereAreNot) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  sandbox.write("model.yaml", "norm: batch\n" + read_file(kTinyModel));
  expect_refused(sandbox, logits_of("model.yaml"), {"model.yaml:1:1: norm: \"batch\" is not supported", "rms, layer"});
  sandbox.write("model.yaml", "mlp: none\n" + read_file(kTinyModel));
  expect_refused(sandbox, logits_of("model.yaml"),
                 {"model.yaml:", ":1: intermediate_size: there is no MLP (mlp: none); remove it"});
}

TEST(ConfigJson, MayHoldKeysThatNobodyKnows) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  EditedCheckpoint checkpoint;
  checkpoint.config["hiden_size"] = "anything";
  checkpoint.save(sandbox, "model");
  expect_well(sandbox.run(logits_of("model")));
}

TEST(ConfigJson, ThatIsDamagedIsRefusedByItsName) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  EditedCheckpoint{}.save(sandbox, "model");
  for (const char* text : {"", "{", "[]", "{\"hidden_size\": 64, \"hidden_size\": 64}", "\xff"}) {
    sandbox.write("model/config.json", text);
    expect_refused(sandbox, logits_of("model"), {"model/config.json"});
  }
}

TEST(ConfigJson, IsRefusedWhereHeadsDoNotDivideTheWidth) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  EditedCheckpoint checkpoint;
  checkpoint.config["num_attention_heads"] = 6;
  checkpoint.save(sandbox, "model");
  expect_refused(sandbox, logits_of("model"), {"model/config.json", "hidden_size", "num_attention_heads", "6"});
}

// More than any machine can address: nothing of that size is asked for.
TEST(HugeModels, AreRefusedWithoutAskingForTheMemory) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  sandbox.write("model.yaml",
                "hidden_size: 2147483647\nhead_dim: 64\nnum_hidden_layers: 10000\nintermediate_size: 2147483647\n"
                "num_attention_heads: 1\nvocab_size: 2147483647\n");
  expect_refused(sandbox, logits_of("model.yaml"), {"model.yaml:"});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take an address space of their own
constexpr std::size_t kSixGiB = std::size_t{6} << 30;

// 8 GiB of embeddings, under a limit: an error in words, not a process that the system kills.
TEST(LargeModels, EndInAnErrorWhereTheMemoryDoesNotReach) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  sandbox.write("model.yaml",
                "hidden_size: 16384\nnum_hidden_layers: 4\nintermediate_size: 65536\nnum_attention_heads: 64\n"
                "vocab_size: 131072\n");
  const Outcome outcome = sandbox.run(logits_of("model.yaml"), {.address_space = kSixGiB});
  EXPECT_TRUE(outcome.exit_code == 1 || outcome.exit_code == 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  expect_mentions(outcome.first_error(), {"attnlab: ", "memory"});
  EXPECT_FALSE(fs::exists(sandbox / "out.safetensors"));
}

TEST(SmallModels, NeedNoMoreThanSixGiBOfAddresses) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  expect_well(sandbox.run(logits_of(kTinyModel), {.address_space = kSixGiB}));
  sandbox.write("study.yaml", Experiment{}.yaml());
  expect_well(sandbox.run({"run", "study.yaml", "-o", "out"}, {.address_space = kSixGiB}));
}
#endif

class ShortModel : public testing::Test {
 protected:
  // tiny.yaml with 16 positions, and a prompt that is longer.
  void SetUp() override {
    std::string yaml = read_file(kTinyModel);
    const std::string key = "max_position_embeddings: 8192";
    const std::size_t at = yaml.find(key);
    ASSERT_NE(at, std::string::npos);
    sandbox_.write("model.yaml", yaml.replace(at, key.size(), "max_position_embeddings: 16"));
    sandbox_.write("ids.txt", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
  }
  Sandbox sandbox_;
};

TEST_F(ShortModel, WarnsOfALongPromptWhereThePositionsDoNotEnd) {
  for (const char* position : {"rope", "alibi", "none"}) {
    std::vector<std::string> command = logits_of("model.yaml");
    command.insert(command.end(), {"--position", position});
    const Outcome outcome = sandbox_.run(command);
    expect_well(outcome);
    expect_mentions(outcome.err, {"attnlab: warning: ", "20", "16"});
    EXPECT_TRUE(fs::exists(sandbox_ / "out.safetensors"));
  }
}

TEST_F(ShortModel, RefusesALongPromptWhereTheTableOfPositionsEnds) {
  std::vector<std::string> command = logits_of("model.yaml");
  command.insert(command.end(), {"--position", "sinusoidal"});
  expect_refused(sandbox_, command, {"20", "16"});
  expect_refused(sandbox_, {"generate", "model.yaml", "--prompt", "abc", "-n", "20", "--position", "sinusoidal"},
                 {"16"});
  sandbox_.write("ids.txt", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
  expect_well(sandbox_.run(command));
}

TEST_F(ShortModel, IsRefusedByAnExperimentWhoseListedArmHasPositionsThatEnd) {
  sandbox_.write("study.yaml", Experiment{.model = "model.yaml",
                                          .arms = "[{position: rope}, {position: sinusoidal}]",
                                          .workloads = "[{speed: {batch: [q20]}}]"}
                                   .yaml());
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, {"study.yaml:4:", "sinusoidal", "20", "16"});
}

TEST_F(ShortModel, RunsInAGridWithoutTheArmWhosePositionsEnd) {
  sandbox_.write("study.yaml", Experiment{.model = "model.yaml",
                                          .arms = "{grid: {position: [rope, sinusoidal]}}",
                                          .workloads = "[{speed: {batch: [q20]}}]"}
                                   .yaml());
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  const CsvTable summary = summary_of(sandbox_ / "out");
  for (std::size_t row = 0; row < summary.rows(); ++row) {
    if (summary.at(row, "position") == "rope")
      EXPECT_EQ(summary.at(row, "status"), "ok");
    else
      expect_mentions(summary.at(row, "status"), {"refused", "16"});
  }
  EXPECT_EQ(summary.where({{"position", "sinusoidal"}}).size(), 1U);
}

}  // namespace
}  // namespace attnlab::program_test
