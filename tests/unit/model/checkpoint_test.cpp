// Laws of checkpoints: one file and shards hold the same tensors, an index cannot lie or lead elsewhere, and elements
// are read exactly, from every type, range and alignment.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "unit/checkpoint_samples.h"

namespace attnlab::model {
namespace {

using model_test::bytes_of;
using model_test::expect_mentions;
using model_test::open_refusal;
using model_test::refusal;
using model_test::safetensors_text;
using model_test::TempFolder;
using model_test::write_tensors;

const std::vector<float> kOnes(4, 1.0f);
const std::vector<float> kTwos(4, 2.0f);
constexpr const char* kIndex = "model.safetensors.index.json";

std::string index_text(const std::map<std::string, std::string>& weight_map) {
  std::string text = R"({"metadata":{"total_size":1},"weight_map":{)";
  for (const auto& [name, shard] : weight_map)
    text += (text.back() == '{' ? "\"" : ",\"") + name + "\":\"" + shard + "\"";
  return text + "}}";
}

TEST(Checkpoint, OneFileAndShardsHoldTheSameTensors) {
  const TempFolder one;
  write_tensors(one.path() / "model.safetensors", {"a", "b", "c"});
  const TempFolder shards;
  write_tensors(shards.path() / "model-00001-of-00002.safetensors", {"c", "a"});
  write_tensors(shards.path() / "model-00002-of-00002.safetensors", {"b"});
  shards.write(kIndex, index_text({{"a", "model-00001-of-00002.safetensors"},
                                   {"b", "model-00002-of-00002.safetensors"},
                                   {"c", "model-00001-of-00002.safetensors"}}));
  for (const auto& folder : {one.path(), shards.path()}) {
    Checkpoint opened = Checkpoint::open(folder);
    const Checkpoint checkpoint = std::move(opened);
    EXPECT_EQ(checkpoint.folder(), folder);
    EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b", "c"}));
    for (const std::string& name : checkpoint.names()) {
      const auto tensor = checkpoint.find(name);
      ASSERT_TRUE(tensor.has_value()) << name;
      EXPECT_EQ(tensor->info->name, name);
      std::vector<float> numbers(4);
      read_f32(*tensor, numbers);
      EXPECT_EQ(numbers, kOnes);
    }
    EXPECT_FALSE(checkpoint.find("d").has_value());
  }
}

TEST(Checkpoint, PrefersTheSingleFileAndThenDoesNotReadTheIndex) {
  const TempFolder folder;
  write_tensors(folder.path() / "model.safetensors", {"a"});
  folder.write(kIndex, "not JSON");
  EXPECT_EQ(Checkpoint::open(folder.path()).names(), std::vector<std::string>{"a"});
}

TEST(Checkpoint, FollowsLinksToFilesElsewhere) {
  const TempFolder blobs;
  const TempFolder folder;
  write_tensors(blobs.path() / "blob", {"a"});
  std::filesystem::create_symlink(blobs.path() / "blob", folder.path() / "model.safetensors");
  EXPECT_EQ(Checkpoint::open(folder.path()).names(), std::vector<std::string>{"a"});
  std::filesystem::remove(blobs.path() / "blob");
  expect_mentions(open_refusal(folder.path()), {(folder.path() / "model.safetensors").string(), "No such file"});
}

TEST(Checkpoint, NamesTheFolderThatIsNone) {
  const TempFolder folder;
  expect_mentions(open_refusal(folder.path() / "absent"), {(folder.path() / "absent").string(), "no such folder"});
  expect_mentions(open_refusal(folder.write("file", "")), {(folder.path() / "file").string(), "is no folder"});
  expect_mentions(open_refusal(folder.path()), {folder.path().string(), "model.safetensors", kIndex});
}

TEST(Checkpoint, NamesTheShardThatIsBroken) {
  const TempFolder folder;
  folder.write("s1", safetensors_text("{\"a\":1}", 0));
  folder.write(kIndex, index_text({{"a", "s1"}}));
  expect_mentions(open_refusal(folder.path()), {(folder.path() / "s1").string() + ": ", "\"a\""});
}

struct BadIndex {
  std::string name;
  std::string text;
  std::vector<std::string> mentions;
};
void PrintTo(const BadIndex& bad, std::ostream* out) {
  *out << bad.name;
}

class EveryBadIndex : public testing::TestWithParam<BadIndex> {};

// Shards: s1 has a and b, s2 has c and, where the case is about it, a once more.
TEST_P(EveryBadIndex, IsRefusedByAnErrorThatNamesIt) {
  const TempFolder folder;
  write_tensors(folder.path() / "s1", {"a", "b"});
  write_tensors(folder.path() / "s2", {"c"});
  write_tensors(folder.path() / "s3", {"a", "c"});
  std::filesystem::create_directory(folder.path() / "inner");
  write_tensors(folder.path() / "inner" / "s1", {"a", "b"});
  const auto path = folder.write(kIndex, GetParam().text);
  const std::string text = open_refusal(folder.path());
  EXPECT_TRUE(text.starts_with(path.string() + ":")) << text;
  expect_mentions(text, GetParam().mentions);
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoint, EveryBadIndex,
    testing::Values(
        BadIndex{"NotJson", "{", {":1:2: ", "not JSON"}}, BadIndex{"Empty", "", {"not JSON"}},
        BadIndex{"NotJsonInLineThree", "{\n\"weight_map\":\n {]", {":3:3: ", "not JSON"}},
        BadIndex{"NulAtTheEnd", index_text({{"a", "s1"}, {"b", "s1"}}) + std::string(1, '\0'), {"NUL"}},
        BadIndex{"List", "[]", {"no JSON object"}},
        BadIndex{"NoWeightMap", R"({"weights":{}})", {"weight_map", "missing"}},
        BadIndex{"WeightMapIsList", R"({"weight_map":["a"]})", {"weight_map", "list"}},
        BadIndex{"WeightMapIsNull", R"({"weight_map":null})", {"weight_map", "null"}},
        BadIndex{"WeightMapHoldsNumber", R"({"weight_map":{"a":1}})", {"weight_map", "\"a\"", "1"}},
        BadIndex{"WeightMapHoldsList", R"({"weight_map":{"a":["s1"]}})", {"weight_map", "\"a\"", "list"}},
        BadIndex{"DuplicateKey", R"({"weight_map":{"a":"s1","a":"s1","b":"s1"}})", {"\"a\"", "twice"}},
        BadIndex{"DeepNesting", std::string(1'000'000, '['), {"nests deeper"}},
        BadIndex{"LeavesByDots", index_text({{"a", "../s1"}}), {"\"a\"", "\"../s1\"", "leaves the folder"}},
        BadIndex{"IsTheParent", index_text({{"a", ".."}}), {"\"a\"", "leaves the folder"}},
        BadIndex{"IsTheFolder", index_text({{"a", "."}}), {"\"a\"", "leaves the folder"}},
        BadIndex{"IsAbsolute", index_text({{"a", "/etc/passwd"}}), {"\"a\"", "\"/etc/passwd\"", "leaves the folder"}},
        BadIndex{
            "GoesToAnInnerFolder", index_text({{"a", "inner/s1"}, {"b", "inner/s1"}}), {"\"a\"", "leaves the folder"}},
        BadIndex{"HasABackslash", index_text({{"a", "..\\\\s1"}}), {"\"a\"", "leaves the folder"}},
        BadIndex{"HasANul", R"({"weight_map":{"a":"s1\u0000/x"}})", {"\"a\"", "leaves the folder"}},
        BadIndex{"EmptyShardName", index_text({{"a", ""}}), {"\"a\"", "leaves the folder"}},
        BadIndex{"MissingShard", index_text({{"a", "s1"}, {"b", "s1"}, {"z", "s9"}}), {"\"s9\"", "missing"}},
        BadIndex{
            "ListedButNotThere", index_text({{"a", "s1"}, {"b", "s1"}, {"z", "s1"}}), {"\"z\"", "not in", "\"s1\""}},
        BadIndex{"ListedInTheWrongShard",
                 index_text({{"a", "s2"}, {"b", "s1"}, {"c", "s2"}}),
                 {"\"a\"", "not in \"s2\"", "it is in \"s1\""}},
        BadIndex{"ThereButNotListed", index_text({{"a", "s1"}}), {"\"b\"", "\"s1\"", "not in weight_map"}},
        BadIndex{"InTwoShards",
                 index_text({{"a", "s1"}, {"b", "s1"}, {"c", "s3"}}),
                 {"\"a\"", "two shards", "\"s1\"", "\"s3\""}}),
    [](const auto& info) { return info.param.name; });

TEST(Checkpoint, ReportsTheProblemsOfAnIndexTogetherButNotWithoutEnd) {
  const TempFolder folder;
  write_tensors(folder.path() / "s1", {"a"});
  std::map<std::string, std::string> weight_map{{"a", "s1"}};
  for (int i = 0; i < 100; ++i) weight_map["missing" + std::to_string(i)] = "s1";
  folder.write(kIndex, index_text(weight_map));
  try {
    static_cast<void>(Checkpoint::open(folder.path()));
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.problems().size(), 11u);
    EXPECT_NE(error.problems().back().what.find("90 more"), std::string::npos);
  }
}

// A checkpoint of one tensor, whose data begin at an odd address.
class OneTensor {
 public:
  OneTensor(const std::string& dtype, std::size_t elements, std::span<const std::byte> bytes) {
    std::string header = "{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(elements) +
                         "],\"data_offsets\":[0," + std::to_string(bytes.size()) + "]}}";
    if (header.size() % 2 == 0) header += ' ';
    std::string text = safetensors_text(header, 0);
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    folder_.write("model.safetensors", text);
    checkpoint_.emplace(Checkpoint::open(folder_.path()));
  }
  StoredTensor tensor() const { return *checkpoint_->find("w"); }
  std::string path() const { return (folder_.path() / "model.safetensors").string(); }

 private:
  TempFolder folder_;
  std::optional<Checkpoint> checkpoint_;
};

std::vector<std::uint16_t> every_pattern() {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  return patterns;
}

// The value of a binary format with these field widths, straight from its definition.
double value_of(std::uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

void expect_every_pattern_exact(const std::string& dtype, int exponent_bits, int fraction_bits) {
  const auto patterns = every_pattern();
  const OneTensor one(dtype, patterns.size(), bytes_of(patterns));
  std::vector<float> numbers(patterns.size());
  read_f32(one.tensor(), numbers);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const double expected = value_of(patterns[i], exponent_bits, fraction_bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(numbers[i])) << dtype << " " << i;
    } else {
      EXPECT_EQ(static_cast<double>(numbers[i]), expected) << dtype << " " << i;
      EXPECT_EQ(std::signbit(numbers[i]), (patterns[i] & 0x8000) != 0) << dtype << " " << i;
    }
  }
  std::vector<std::uint16_t> raw(patterns.size());
  read_bits16(one.tensor(), 0, raw);
  EXPECT_EQ(raw, patterns);
}

TEST(CheckpointElements, EveryF16IsReadExactly) {
  expect_every_pattern_exact("F16", 5, 10);
}
TEST(CheckpointElements, EveryBf16IsReadExactly) {
  expect_every_pattern_exact("BF16", 8, 7);
}

#if defined(__x86_64__)
TEST(CheckpointElements, F16DenormalsSurviveThreadsThatFlushThemToZero) {
  const unsigned int mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);  // denormal results and operands are zero
  expect_every_pattern_exact("F16", 5, 10);
  _mm_setcsr(mode);
}
#endif

TEST(CheckpointElements, F32IsReadBitForBit) {
  const std::vector<std::uint32_t> patterns{0x00000000, 0x80000000, 0x00000001, 0x7f800000,
                                            0xff800000, 0x7fc01234, 0x3f800001};
  const OneTensor one("F32", patterns.size(), bytes_of(patterns));
  std::vector<float> numbers(patterns.size());
  read_f32(one.tensor(), numbers);
  for (std::size_t i = 0; i < patterns.size(); ++i) EXPECT_EQ(std::bit_cast<std::uint32_t>(numbers[i]), patterns[i]);
}

// NaNs included.
bool same_bits(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

TEST(CheckpointElements, RangesAreTheSameAsTheWhole) {
  const auto patterns = every_pattern();
  for (const std::string dtype : {"F16", "BF16", "F32"}) {
    const OneTensor one(dtype, patterns.size() * 2 / (dtype == "F32" ? 4 : 2), bytes_of(patterns));
    const auto count = static_cast<std::size_t>(one.tensor().info->elements());
    std::vector<float> whole(count);
    read_f32(one.tensor(), whole);
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}, std::size_t{777}, count - 1, count}) {
      for (const std::size_t length : {0u, 1u, 5u, 1000u}) {
        if (first + length > count) continue;
        std::vector<float> part(length);
        read_f32(one.tensor(), static_cast<std::int64_t>(first), part);
        EXPECT_TRUE(same_bits(part, std::span(whole).subspan(first, length))) << dtype << " " << first;
      }
    }
  }
}

TEST(CheckpointElements, OtherTypesAreRefusedWithFileAndTensor) {
  const std::vector<std::uint8_t> bytes(8);
  for (const std::string dtype : {"F64", "I64", "U64", "C64"}) {
    const OneTensor one(dtype, 1, bytes_of(bytes));
    float number = 0;
    const std::vector<std::string> parts{one.path() + ": ", "\"w\"", dtype, "F32, F16 or BF16"};
    expect_mentions(refusal([&] { check_weight_dtype(one.tensor()); }), parts);
    expect_mentions(refusal([&] { read_f32(one.tensor(), std::span(&number, 1)); }), parts);
    expect_mentions(refusal([&] { check_finite(one.tensor()); }), parts);
  }
}

template <typename Bits>
void expect_nonfinite_found(const std::string& dtype, Bits largest, Bits infinite, Bits nan) {
  constexpr std::size_t kCount = 10'000;
  std::vector<Bits> patterns(kCount, largest);
  {
    const OneTensor one(dtype, kCount, bytes_of(patterns));
    EXPECT_EQ(first_nonfinite(one.tensor(), 0, kCount), std::nullopt) << dtype;
    check_finite(one.tensor());
  }
  for (const std::size_t place : {0u, 4095u, 4096u, 9999u}) {
    for (const Bits bad : {infinite, nan, static_cast<Bits>(infinite | Bits{1} << (sizeof(Bits) * 8 - 1))}) {
      std::vector<Bits> changed = patterns;
      changed[place] = bad;
      changed[kCount - 1] = bad;
      const OneTensor one(dtype, kCount, bytes_of(changed));
      EXPECT_EQ(first_nonfinite(one.tensor(), 0, kCount), static_cast<std::int64_t>(place)) << dtype;
      EXPECT_EQ(first_nonfinite(one.tensor(), 0, static_cast<std::int64_t>(place)), std::nullopt) << dtype;
      EXPECT_EQ(first_nonfinite(one.tensor(), static_cast<std::int64_t>(place), 1), static_cast<std::int64_t>(place));
      expect_mentions(refusal([&] { check_finite(one.tensor()); }),
                      {one.path() + ": ", "\"w\"", "element " + std::to_string(place) + " is ", "allow_nonfinite"});
    }
  }
}

TEST(CheckpointElements, TheFirstNonfiniteElementIsFound) {
  expect_nonfinite_found<std::uint32_t>("F32", 0x7f7fffff, 0x7f800000, 0x7fc00000);
  expect_nonfinite_found<std::uint16_t>("BF16", 0x7f7f, 0x7f80, 0x7f81);
  expect_nonfinite_found<std::uint16_t>("F16", 0x7bff, 0x7c00, 0x7c01);
}

TEST(CheckpointElements, ManyThreadsReadTheSame) {
  const auto patterns = every_pattern();
  const OneTensor one("F16", patterns.size(), bytes_of(patterns));
  std::vector<float> whole(patterns.size()), parts(patterns.size());
  read_f32(one.tensor(), whole);
  {
    std::vector<std::jthread> threads;
    for (std::size_t first = 0; first < parts.size(); first += 16384) {
      threads.emplace_back([&, first] {
        read_f32(one.tensor(), static_cast<std::int64_t>(first), std::span(parts).subspan(first, 16384));
      });
    }
  }
  EXPECT_TRUE(same_bits(whole, parts));
}

TEST(Checkpoint, EveryModelFixtureOpensAndIsFinite) {
  const std::filesystem::path models = std::filesystem::path(ATTNLAB_SHARED_DIR) / "fixtures" / "models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no " << models;
  for (const auto& model : std::filesystem::directory_iterator(models)) {
    const Checkpoint checkpoint = Checkpoint::open(model.path());
    EXPECT_TRUE(checkpoint.find("model.embed_tokens.weight").has_value()) << model.path();
    for (const std::string& name : checkpoint.names()) check_finite(*checkpoint.find(name));
  }
}

}  // namespace
}  // namespace attnlab::model
