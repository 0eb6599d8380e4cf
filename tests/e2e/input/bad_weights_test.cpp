// Checkpoints that are wrong: refused with the file and the tensor, by every command that reads weights, with nothing
// written. The finer points of the file format are in unit/safetensors_test.cpp.
#include <cmath>

#include "e2e/checkpoints.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

constexpr const char* kQuery = "model.layers.1.self_attn.q_proj.weight";

class BadWeights : public testing::Test {
 protected:
  void SetUp() override { sandbox_.write("ids.txt", "1 2 3"); }

  // `logits`, `generate` is the same path; `validate` and `run` look at the weights before they begin.
  void expect_refused_everywhere(const std::vector<std::string>& parts) const {
    expect_refused(sandbox_, {"logits", "model", "--ids", "ids.txt", "-o", "out.safetensors"}, parts);
    sandbox_.write("study.yaml",
                   Experiment{.model = "model", .arms = "[{attention: mqa}, {cache: {window: {window: 4}}}]"}.yaml());
    expect_refused(sandbox_, {"validate", "study.yaml"}, parts);
    expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts);
  }

  void expect_refused_everywhere(const EditedCheckpoint& checkpoint, const std::vector<std::string>& parts) const {
    checkpoint.save(sandbox_, "model");
    expect_refused_everywhere(parts);
  }

  Sandbox sandbox_;
  EditedCheckpoint checkpoint_;
};

TEST_F(BadWeights, AreRefusedWhereATensorIsMissing) {
  checkpoint_.remove(kQuery);
  expect_refused_everywhere(checkpoint_, {"model", kQuery, "missing"});
}

// The key of the config says that the head is not tied, so the embedding may not stand in for it.
TEST_F(BadWeights, AreRefusedWhereTheOutputHeadIsMissing) {
  checkpoint_.remove("lm_head.weight");
  expect_refused_everywhere(checkpoint_, {"model", "lm_head.weight", "missing"});
}

TEST_F(BadWeights, AreRefusedWhereATensorBelongsNowhere) {
  EditedTensor extra = checkpoint_.tensor(kQuery);
  extra.name = "model.layers.7.self_attn.q_proj.weight";
  checkpoint_.tensors.push_back(extra);
  expect_refused_everywhere(checkpoint_, {"model.safetensors", extra.name});
}

TEST_F(BadWeights, AreRefusedWhereATensorHasAnotherShape) {
  checkpoint_.tensor(kQuery).shape = {32, 128};
  expect_refused_everywhere(checkpoint_, {"model.safetensors", kQuery, "[32, 128]", "[64, 64]"});
}

TEST_F(BadWeights, AreRefusedWhereATensorHasAnotherRank) {
  checkpoint_.tensor(kQuery).shape = {64 * 64};
  expect_refused_everywhere(checkpoint_, {"model.safetensors", kQuery, "[4096]", "[64, 64]"});
}

TEST_F(BadWeights, AreRefusedWhereATensorHasATypeThatWeightsDoNotHave) {
  checkpoint_.tensor(kQuery).dtype = model::DType::i32;
  expect_refused_everywhere(checkpoint_, {"model.safetensors", kQuery, "I32", "F32"});
}

struct BadFile {
  std::string name;
  std::string text;  // of model.safetensors
  std::vector<std::string> mentions;
  friend std::ostream& operator<<(std::ostream& stream, const BadFile& test) { return stream << test.name; }
};

std::vector<BadFile> every_bad_file() {
  const auto tensor = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::string two = tensor("F32", "[2]", "[0,8]");
  std::string long_header(8, '\0');
  long_header[6] = 1;  // 2^48 bytes
  return {
      {"AnUnknownType", safetensors_text(R"({"odd":)" + tensor("F33", "[2]", "[0,8]") + "}", 8), {"odd", "F33"}},
      {"AHeaderLongerThanTheFile", long_header + "{}", {"header"}},
      {"NoHeader", "abc", {}},
      {"AnEmptyFile", "", {}},
      {"AHeaderThatIsNoJson", safetensors_text("{\"odd\":", 8), {}},
      {"OffsetsBehindTheEnd", safetensors_text(R"({"odd":)" + tensor("F32", "[4]", "[0,16]") + "}", 8), {"odd"}},
      {"OffsetsThatOverlap",
       safetensors_text(R"({"even":)" + two + R"(,"odd":)" + tensor("F32", "[2]", "[4,12]") + "}", 12),
       {"odd"}},
      {"AHole",
       safetensors_text(R"({"even":)" + two + R"(,"odd":)" + tensor("F32", "[2]", "[12,20]") + "}", 20),
       {"odd"}},
      {"TrailingBytes", safetensors_text(R"({"odd":)" + two + "}", 12), {}},
      {"AShapeThatDoesNotFitItsBytes",
       safetensors_text(R"({"odd":)" + tensor("F32", "[3]", "[0,8]") + "}", 8),
       {"odd"}},
      {"AShapeWhoseProductOverflows",
       safetensors_text(R"({"odd":)" + tensor("F32", "[4294967296,4294967296,4]", "[0,8]") + "}", 8),
       {"odd"}},
      {"ANameThatIsThereTwice", safetensors_text(R"({"odd":)" + two + R"(,"odd":)" + two + "}", 8), {"odd"}},
      {"MetadataThatAreNoTexts",
       safetensors_text(R"({"__metadata__":{"format":1},"odd":)" + two + "}", 8),
       {"__metadata__"}},
  };
}

class EveryBadFile : public BadWeights, public testing::WithParamInterface<BadFile> {};

TEST_P(EveryBadFile, IsRefusedByItsName) {
  checkpoint_.save(sandbox_, "model");
  sandbox_.write("model/model.safetensors", GetParam().text);
  std::vector<std::string> parts = GetParam().mentions;
  parts.emplace_back("model/model.safetensors");
  expect_refused_everywhere(parts);
}

INSTANTIATE_TEST_SUITE_P(, EveryBadFile, testing::ValuesIn(every_bad_file()),
                         [](const auto& test) { return test.param.name; });

TEST_F(BadWeights, AreRefusedWhereTheIndexLeavesTheFolder) {
  checkpoint_.save(sandbox_, "model");
  fs::rename(sandbox_ / "model/model.safetensors", sandbox_ / "elsewhere.safetensors");
  nlohmann::json index;
  for (const EditedTensor& tensor : checkpoint_.tensors) index["weight_map"][tensor.name] = "../elsewhere.safetensors";
  sandbox_.write("model/model.safetensors.index.json", index.dump());
  expect_refused_everywhere({"model.safetensors.index.json", "../elsewhere.safetensors"});
}

TEST_F(BadWeights, AreRefusedWhereAShardIsMissing) {
  checkpoint_.save(sandbox_, "model");
  fs::remove(sandbox_ / "model/model.safetensors");
  nlohmann::json index;
  for (const EditedTensor& tensor : checkpoint_.tensors) index["weight_map"][tensor.name] = "model-1-of-1.safetensors";
  sandbox_.write("model/model.safetensors.index.json", index.dump());
  expect_refused_everywhere({"model.safetensors.index.json", "model-1-of-1.safetensors"});
}

TEST_F(BadWeights, AreRefusedWhereThereAreNone) {
  sandbox_.write("model/config.json", checkpoint_.config.dump());
  expect_refused_everywhere({"model", "model.safetensors"});
}

class NonfiniteWeights : public BadWeights, public testing::WithParamInterface<float> {};

TEST_P(NonfiniteWeights, AreRefusedByTheNameOfTheTensor) {
  checkpoint_.set(kQuery, 77, GetParam());
  expect_refused_everywhere(checkpoint_, {"model.safetensors", kQuery, "77", "finite"});
}

TEST_P(NonfiniteWeights, AreTakenWhereTheUserSaysSo) {
  checkpoint_.set(kQuery, 77, GetParam());
  checkpoint_.save(sandbox_, "model");
  expect_well(sandbox_.run({"logits", "model", "--ids", "ids.txt", "--allow-nonfinite", "-o", "out.safetensors"}));
  EXPECT_TRUE(fs::exists(sandbox_ / "out.safetensors"));
  sandbox_.write("study.yaml", Experiment{.model = "model", .more = "allow_nonfinite: true"}.yaml());
  expect_well(sandbox_.run({"validate", "study.yaml"}));
  if (std::isnan(GetParam())) {
    expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  }
  sandbox_.write("study.yaml", Experiment{.model = "model", .more = "allow_nonfinite: false"}.yaml());
  expect_refused(sandbox_, {"validate", "study.yaml"}, {kQuery});
}

INSTANTIATE_TEST_SUITE_P(, NonfiniteWeights,
                         testing::Values(std::numeric_limits<float>::quiet_NaN(),
                                         std::numeric_limits<float>::infinity(),
                                         -std::numeric_limits<float>::infinity()),
                         [](const auto& test) {
                           return std::string(test.index == 0 ? "NaN" : test.index == 1 ? "Inf" : "MinusInf");
                         });

// The tables of old checkpoints, and what belongs to the attention that the arm put another in place of.
TEST_F(BadWeights, AreNotThoseWhoseUnusedTensorsAreKnownToBeUnused) {
  checkpoint_.tensors.push_back(
      {"model.layers.0.self_attn.rotary_emb.inv_freq", model::DType::f32, {4}, std::vector<std::byte>(16)});
  checkpoint_.save(sandbox_, "model");
  expect_well(sandbox_.run({"logits", "model", "--ids", "ids.txt", "-o", "out.safetensors"}));
  EditedTensor bias{"model.layers.1.self_attn.q_proj.bias", model::DType::f32, {64}, std::vector<std::byte>(256)};
  checkpoint_.tensors.push_back(bias);
  checkpoint_.save(sandbox_, "model");
  expect_refused(sandbox_, {"logits", "model", "--ids", "ids.txt", "-o", "no.safetensors"}, {bias.name});
  expect_well(sandbox_.run({"logits", "model", "--ids", "ids.txt", "--attention", "mha", "-o", "out.safetensors"}));
}

}  // namespace
}  // namespace attnlab::program_test
