// Storages of cached rows against recorded streams, by the definitions of fixtures/plugins/SPEC.md, section 4. The same
// rows in pages give the same bits. Not here: policies (replay_golden_test), what exactly is held (storage_rows_test).
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "golden/golden_tensors.h"
#include "reference/storage_reference.h"
#include "reference/storage_spec.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 1e-5;  // of the manifests

struct StorageCase {
  fs::path golden;  // the case's file
  int prefill = 0;
  std::string storage;               // as YAML has it, without braces, so that a page can be added
  std::vector<std::string> tensors;  // of the file

  friend std::ostream& operator<<(std::ostream& stream, const StorageCase& test) {
    return stream << test.golden << " with " << test.storage;
  }
};

std::vector<StorageCase> every_case() {
  std::vector<StorageCase> cases;
  for (const char* folder : {"policies", "kivi"}) {
    const fs::path path = kOwnFixtures / "cache" / folder;
    const nlohmann::json manifest = read_manifest(path / "manifest.json");
    for (const auto& [name, test] : manifest.at("cases").items()) {
      const std::string policy = test.at("policy");
      if (policy != "plain" && policy != "bf16" && policy != "kivi") continue;
      StorageCase& storage = cases.emplace_back(StorageCase{path / (name + ".safetensors"), manifest.at("prefill")});
      storage.storage = policy == "plain"  ? "k: f32, v: f32"
                        : policy == "bf16" ? "k: bf16, v: bf16"
                                           : "kivi: " + test.at("parameters").dump();
      for (const auto& [tensor, shape] : test.at("tensors").items()) storage.tensors.push_back(tensor);
    }
  }
  return cases;
}

class EveryStorageGolden : public testing::TestWithParam<StorageCase> {
 protected:
  // The file that the program writes for the storage, with `more` after it in the YAML.
  std::string replayed(const std::string& more) const {
    const StorageCase& test = GetParam();
    const std::string cache = "{full: {storage: {" + test.storage + more + "}}}";
    const fs::path streams = test.golden.parent_path() / "streams.safetensors";
    expect_well(sandbox_.run({"replay", streams.string(), "--cache", cache, "--prefill", std::to_string(test.prefill),
                              "-o", "out.safetensors"}));
    return read_file(sandbox_ / "out.safetensors");
  }
  Sandbox sandbox_;
};

TEST_P(EveryStorageGolden, IsReproduced) {
  replayed("");
  EXPECT_LT(largest_difference(read_floats(sandbox_ / "out.safetensors", "out"), read_floats(GetParam().golden, "out")),
            kTolerance);
  if (std::ranges::find(GetParam().tensors, "kept") == GetParam().tensors.end()) return;
  const auto kept = read_tensor<std::uint8_t>(sandbox_ / "out.safetensors", "kept", model::DType::u8);
  const auto golden = read_tensor<std::uint8_t>(GetParam().golden, "kept", model::DType::u8);
  EXPECT_EQ(kept.shape, golden.shape);
  EXPECT_TRUE(kept.numbers == golden.numbers) << "other rows were kept";
}

TEST_P(EveryStorageGolden, HasTheSameBitsInPages) {
  const std::string whole = replayed("");
  for (const char* page : {"1", "7", "16", "64", "100"})
    EXPECT_TRUE(replayed(", page: " + std::string(page)) == whole) << "page " << page;
}

INSTANTIATE_TEST_SUITE_P(, EveryStorageGolden, testing::ValuesIn(every_case()), [](const auto& test) {
  const fs::path& golden = test.param.golden;
  return test_name(golden.parent_path().filename().string() + "_" + golden.stem().string());
});

// plain in two folders, bf16, three of kivi.
TEST(StorageGoldens, AreAllThere) {
  EXPECT_EQ(every_case().size(), 2U + 1 + 3);
}

// What is read back after the last step, to the bit.
TEST(StorageGoldens, AreHeldToTheBit) {
  int checked = 0;
  for (const StorageCase& test : every_case()) {
    if (std::ranges::find(test.tensors, "k_deq") == test.tensors.end()) continue;
    SCOPED_TRACE(testing::Message() << test);
    ++checked;
    const nlohmann::json manifest = read_manifest(test.golden.parent_path() / "manifest.json");
    const nlohmann::json parameters = manifest.at("cases").at(test.golden.stem().string()).at("parameters");
    const fs::path streams = test.golden.parent_path() / "streams.safetensors";
    const Values<float> keys = read_floats(streams, "k");  // [tokens, kv heads, width]
    const Values<float> values = read_floats(streams, "v");
    const auto tokens = static_cast<int>(keys.shape[0]);
    const auto heads = static_cast<int>(keys.shape[1]);
    const auto width = static_cast<int>(keys.shape[2]);
    const KvShape shape{.kv_heads = heads, .key_dim = width, .value_dim = width};
    const TensorView<const float, 3> key_rows(keys.numbers.data(), {tokens, heads, width});
    const TensorView<const float, 3> value_rows(values.numbers.data(), {tokens, heads, width});
    const auto rows = make_rows(
        {"kivi", "kivi", 0, {parameters.at("bits"), parameters.at("group"), parameters.at("residual")}}, shape, 1, 0);
    std::vector<Position> positions(tokens);
    std::iota(positions.begin(), positions.end(), 0);
    for (int first = 0; first < tokens;) {
      const int count = first == 0 ? test.prefill : 1;
      rows->append(0, std::span(positions).subspan(first, count), key_rows.slice(first, count),
                   value_rows.slice(first, count));
      rows->settle(0);
      first += count;
    }
    const Values<float> right_keys = read_floats(test.golden, "k_deq");
    const Values<float> right_values = read_floats(test.golden, "v_deq");
    for (int head = 0; head < heads; ++head) {
      const std::vector<reference::StoredRow> stored = reference::stored_rows(*rows, shape, 0, head);
      ASSERT_EQ(stored.size(), static_cast<std::size_t>(tokens));
      for (int token = 0; token < tokens; ++token)
        for (int i = 0; i < width; ++i) {
          const int at = (token * heads + head) * width + i;
          ASSERT_EQ(stored[token].key[i], right_keys.numbers[at]) << "token " << token << ", channel " << i;
          ASSERT_EQ(stored[token].value[i], right_values.numbers[at]) << "token " << token << ", channel " << i;
        }
    }
  }
  EXPECT_EQ(checked, 3);
}

}  // namespace
}  // namespace attnlab::program_test
