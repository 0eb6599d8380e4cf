// Laws of the safetensors reader and writer: what was written is read back, and no file, however wrong, does more than
// raise an Error that names it.
#include "model/checkpoints/safetensors.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <random>

#include "model/checkpoints/safetensors_header.h"
#include "unit/model_test_files.h"

namespace attnlab::model {
namespace {

using model_test::bytes_of;
using model_test::expect_mentions;
using model_test::refusal;
using model_test::safetensors_text;
using model_test::TempFolder;

const std::vector<float> kFloats{1.5f, -2.0f, 0.25f, 8.0f, -16.0f, 32.0f};
const std::vector<std::uint8_t> kBytes{7, 8, 9};
const std::vector<std::uint16_t> kHalves{0x3c00, 0x7bff};

std::vector<OutputTensor> sample_tensors() {
  return {{"kept", DType::u8, {3}, bytes_of(kBytes)},
          {"out", DType::f32, {2, 3}, bytes_of(kFloats)},
          {"half", DType::f16, {2, 1}, bytes_of(kHalves)},
          {"none", DType::f32, {0, 4}, {}},
          {"scalar \"quoted\" \xc3\xa9", DType::f32, {}, bytes_of(kFloats).first(4)}};
}

std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t file_count(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(Safetensors, ReadsBackWhatWasWritten) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const auto tensors = sample_tensors();
  write_safetensors(path, tensors);
  const SafetensorsFile file = SafetensorsFile::open(path);
  EXPECT_EQ(file.path(), path);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const OutputTensor& written : tensors) {
    const TensorInfo* read = file.find(written.name);
    ASSERT_NE(read, nullptr) << written.name;
    EXPECT_EQ(read->dtype, written.dtype);
    EXPECT_EQ(read->shape, written.shape);
    EXPECT_TRUE(std::ranges::equal(file.bytes(*read), written.bytes)) << written.name;
  }
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_EQ(file.find("none")->elements(), 0);
  EXPECT_EQ(file.find("out")->elements(), 6);
  EXPECT_EQ(file.tensors().back().elements(), 3);
}

TEST(Safetensors, WritesDataAlignedAndLeavesNoTemporary) {
  const TempFolder folder;
  write_safetensors(folder.path() / "a.safetensors", sample_tensors());
  const SafetensorsFile file = SafetensorsFile::open(folder.path() / "a.safetensors");
  EXPECT_EQ(file.tensors().front().offset % 64, 0u);
  for (const TensorInfo& tensor : file.tensors()) {
    EXPECT_EQ(tensor.offset % static_cast<std::size_t>(dtype_bits(tensor.dtype) / 8), 0u) << tensor.name;
  }
  EXPECT_EQ(file_count(folder.path()), 1u);
}

TEST(Safetensors, WritesAnEmptyFileThatCanBeRead) {
  const TempFolder folder;
  write_safetensors(folder.path() / "a.safetensors", {});
  EXPECT_TRUE(SafetensorsFile::open(folder.path() / "a.safetensors").tensors().empty());
}

TEST(Safetensors, KnowsEveryTypeOfTheFormatByNameAndWidth) {
  const std::vector<std::pair<std::string, int>> types{
      {"BOOL", 8},    {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6},
      {"F6_E3M2", 6}, {"F4", 4},   {"I16", 16}, {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},
      {"U32", 32},    {"F32", 32}, {"C64", 64}, {"F64", 64},    {"I64", 64},    {"U64", 64}};
  for (const auto& [name, bits] : types) {
    const auto dtype = dtype_named(name);
    ASSERT_TRUE(dtype.has_value()) << name;
    EXPECT_EQ(dtype_name(*dtype), name);
    EXPECT_EQ(dtype_bits(*dtype), bits) << name;
  }
  EXPECT_FALSE(dtype_named("f32").has_value());
}

TEST(Safetensors, MovesKeepTheMappingAndTheTensors) {
  const TempFolder folder;
  write_safetensors(folder.path() / "a.safetensors", sample_tensors());
  SafetensorsFile first = SafetensorsFile::open(folder.path() / "a.safetensors");
  const TensorInfo* tensor = first.find("out");
  SafetensorsFile second = std::move(first);
  EXPECT_EQ(second.find("out"), tensor);
  EXPECT_TRUE(std::ranges::equal(second.bytes(*tensor), bytes_of(kFloats)));
  write_safetensors(folder.path() / "b.safetensors", {});
  second = SafetensorsFile::open(folder.path() / "b.safetensors");
  EXPECT_TRUE(second.tensors().empty());
}

// Pages of files that this process has in memory.
std::size_t resident_file_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0, shared = 0;
  statm >> size >> resident >> shared;
  return shared * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Safetensors, ReleasedTensorsAreNotResidentAndCanBeReadAgain) {
  const TempFolder folder;
  const std::vector<float> large(8 << 20, 3.0f);  // 32 MiB
  const std::vector<OutputTensor> tensors{{"large", DType::f32, {8 << 20}, bytes_of(large)}};
  write_safetensors(folder.path() / "a.safetensors", tensors);
  const SafetensorsFile file = SafetensorsFile::open(folder.path() / "a.safetensors");
  const TensorInfo& tensor = file.tensors().front();
  EXPECT_TRUE(std::ranges::equal(file.bytes(tensor), bytes_of(large)));
  const std::size_t before = resident_file_bytes();
  file.file().release(tensor.offset, tensor.bytes);
  EXPECT_LT(resident_file_bytes() + (16u << 20), before);
  EXPECT_TRUE(std::ranges::equal(file.bytes(tensor), bytes_of(large)));
}

struct BadHeader {
  std::string name;
  std::string header;
  std::size_t data_bytes;
  std::vector<std::string> mentions;
};

void PrintTo(const BadHeader& bad, std::ostream* out) {
  *out << bad.name;
}

class EveryBadHeader : public testing::TestWithParam<BadHeader> {};

void expect_refused_header(const BadHeader& bad) {
  const TempFolder folder;
  const auto path = folder.write("bad.safetensors", safetensors_text(bad.header, bad.data_bytes));
  const std::string text = refusal([&] { static_cast<void>(SafetensorsFile::open(path)); });
  expect_mentions(text, {path.string() + ": "});
  expect_mentions(text, bad.mentions);
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  EXPECT_LT(text.size(), 600u) << text;
}

TEST_P(EveryBadHeader, IsRefusedByAnErrorWithFileAndTensor) {
  expect_refused_header(GetParam());
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}
std::string with_x(const std::string& value) {
  return "{\"x\":" + value + "}";
}
std::string nested(std::size_t depth) {
  return with_x(std::string(depth, '[') + std::string(depth, ']'));
}

const std::string kGood = entry("F32", "[1]", "[0,4]");
const std::string kMore = entry("F32", "[1]", "[4,8]");

INSTANTIATE_TEST_SUITE_P(
    Safetensors, EveryBadHeader,
    testing::Values(
        BadHeader{"NotJson", "{\"x\": nonsense}", 0, {"not JSON"}},
        BadHeader{"CutOff", "{\"x\":{\"dtype\":\"F32\"", 0, {"not JSON"}},
        BadHeader{"NotUtf8", "{\"\xff\xfe\":" + kGood + "}", 4, {"not JSON"}},
        BadHeader{"NulAfterTheObject", with_x(kGood) + std::string("\0{", 2), 4, {"NUL"}},
        BadHeader{"TextAfterTheObject", with_x(kGood) + " 1", 4, {"not JSON"}},
        BadHeader{"LongString", "{\"" + std::string(100'000, 'a'), 0, {"not JSON"}},
        BadHeader{"EmptyHeader", "", 0, {"no JSON object"}}, BadHeader{"List", "[1]", 0, {"no JSON object"}},
        BadHeader{"BlankBeforeTheObject", " {}", 0, {"no JSON object"}},
        BadHeader{"DuplicateTensor", "{\"x\":" + kGood + ",\"x\":" + kMore + "}", 8, {"\"x\"", "twice"}},
        BadHeader{"DuplicateEscapedTensor", "{\"x\":" + kGood + ",\"\\u0078\":" + kMore + "}", 8, {"\"x\"", "twice"}},
        BadHeader{"DuplicateField",
                  with_x(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
                  4,
                  {"\"x\"", "dtype", "twice"}},
        BadHeader{"DuplicateShape",
                  with_x(R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})"),
                  4,
                  {"\"x\"", "shape", "twice"}},
        BadHeader{"DuplicateMetadata", R"({"__metadata__":{},"__metadata__":{}})", 0, {"__metadata__", "twice"}},
        BadHeader{
            "DuplicateMetadataKey", R"({"__metadata__":{"a":"1","a":"2"}})", 0, {"__metadata__", "\"a\"", "twice"}},
        BadHeader{"UnknownDtype", with_x(entry("F33", "[1]", "[0,4]")), 4, {"\"x\"", "unknown dtype", "\"F33\""}},
        BadHeader{
            "DtypeIsNumber", with_x(R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})"), 4, {"\"x\"", "dtype", "32"}},
        BadHeader{
            "DtypeIsList", with_x(R"({"dtype":["F32"],"shape":[1],"data_offsets":[0,4]})"), 4, {"\"x\"", "dtype"}},
        BadHeader{"NegativeShape", with_x(entry("F32", "[-1]", "[0,4]")), 4, {"\"x\"", "shape", "-1"}},
        BadHeader{"FractionInShape", with_x(entry("F32", "[1.5]", "[0,6]")), 6, {"\"x\"", "shape", "1.5"}},
        BadHeader{"FloatInShape", with_x(entry("F32", "[1.0]", "[0,4]")), 4, {"\"x\"", "shape", "1.0"}},
        BadHeader{"TextInShape", with_x(entry("F32", "[\"1\"]", "[0,4]")), 4, {"\"x\"", "shape"}},
        BadHeader{"TrueInShape", with_x(entry("F32", "[true]", "[0,4]")), 4, {"\"x\"", "shape", "true"}},
        BadHeader{"NullInShape", with_x(entry("F32", "[null]", "[0,4]")), 4, {"\"x\"", "shape", "null"}},
        BadHeader{"ListInShape", with_x(entry("F32", "[[1]]", "[0,4]")), 4, {"\"x\"", "shape"}},
        BadHeader{"ShapeIsNumber", with_x(entry("F32", "1", "[0,4]")), 4, {"\"x\"", "shape"}},
        BadHeader{"ShapeBeyond64Bits", with_x(entry("F32", "[99999999999999999999]", "[0,4]")), 4, {"\"x\"", "shape"}},
        BadHeader{
            "ShapeBeyond63Bits", with_x(entry("F32", "[18446744073709551615]", "[0,4]")), 4, {"\"x\"", "overflow"}},
        BadHeader{"ShapeProductOverflows",
                  with_x(entry("F32", "[4294967296,4294967296]", "[0,0]")),
                  0,
                  {"\"x\"", "overflow"}},
        BadHeader{"ShapeProductWrapsToTheRightSize",
                  with_x(entry("U8", "[4294967296,4294967296,4]", "[0,0]")),
                  0,
                  {"\"x\"", "overflow"}},
        BadHeader{
            "ByteSizeOverflows", with_x(entry("F32", "[4611686018427387904]", "[0,0]")), 0, {"\"x\"", "overflow"}},
        BadHeader{"OverflowBeforeAZero",
                  with_x(entry("F32", "[4294967296,4294967296,0]", "[0,0]")),
                  0,
                  {"\"x\"", "overflow"}},
        BadHeader{"SizeIsNotShapeTimesWidth", with_x(entry("F16", "[2]", "[0,8]")), 8, {"\"x\"", "4 bytes", "8"}},
        BadHeader{"PackedTypeNotInWholeBytes", with_x(entry("F4", "[3]", "[0,2]")), 2, {"\"x\"", "whole bytes"}},
        BadHeader{"OutOfRange", with_x(entry("F32", "[2]", "[0,8]")), 4, {"\"x\"", "out of range", "8"}},
        BadHeader{"OutOfRangeBy64Bits",
                  with_x(entry("F32", "[1]", "[18446744073709551612,18446744073709551615]")),
                  4,
                  {"\"x\"", "out of range"}},
        BadHeader{"BeginAfterEnd", with_x(entry("F32", "[1]", "[4,0]")), 4, {"\"x\"", "[4, 0]"}},
        BadHeader{"NegativeOffset", with_x(entry("F32", "[1]", "[-4,0]")), 4, {"\"x\"", "data_offsets", "-4"}},
        BadHeader{"OneOffset", with_x(entry("F32", "[1]", "[4]")), 4, {"\"x\"", "data_offsets", "1"}},
        BadHeader{"ThreeOffsets", with_x(entry("F32", "[1]", "[0,4,8]")), 8, {"\"x\"", "data_offsets", "3"}},
        BadHeader{"Overlap",
                  "{\"x\":" + kGood + ",\"y\":" + entry("F32", "[1]", "[2,6]") + "}",
                  6,
                  {"\"y\"", "overlaps", "\"x\""}},
        BadHeader{"SameData", "{\"x\":" + kGood + ",\"y\":" + kGood + "}", 4, {"overlaps"}},
        BadHeader{"HoleAtTheStart", with_x(kMore), 8, {"\"x\"", "hole"}},
        BadHeader{"HoleInTheMiddle",
                  "{\"x\":" + kGood + ",\"y\":" + entry("F32", "[1]", "[8,12]") + "}",
                  12,
                  {"\"x\"", "\"y\"", "hole of 4"}},
        BadHeader{"TrailingBytes", with_x(kGood), 7, {"\"x\"", "3 trailing bytes"}},
        BadHeader{"TrailingBytesWithoutTensors", "{}", 1, {"1 trailing"}},
        BadHeader{"MetadataIsNumber", R"({"__metadata__":1})", 0, {"__metadata__", "strings"}},
        BadHeader{"MetadataIsNull", R"({"__metadata__":null})", 0, {"__metadata__", "strings"}},
        BadHeader{"MetadataIsList", R"({"__metadata__":["a"]})", 0, {"__metadata__", "strings"}},
        BadHeader{"MetadataHoldsNumber", R"({"__metadata__":{"a":1}})", 0, {"__metadata__", "strings"}},
        BadHeader{"MetadataHoldsMap", R"({"__metadata__":{"a":{"b":"c"}}})", 0, {"__metadata__", "strings"}},
        BadHeader{"NoDtype", with_x(R"({"shape":[1],"data_offsets":[0,4]})"), 4, {"\"x\"", "dtype is missing"}},
        BadHeader{"NoShape", with_x(R"({"dtype":"F32","data_offsets":[0,4]})"), 4, {"\"x\"", "shape is missing"}},
        BadHeader{"NoOffsets", with_x(R"({"dtype":"F32","shape":[1]})"), 4, {"\"x\"", "data_offsets is missing"}},
        BadHeader{"UnknownField",
                  with_x(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"stride":[1]})"),
                  4,
                  {"\"x\"", "\"stride\""}},
        BadHeader{"TensorIsNumber", with_x("1"), 0, {"\"x\"", "1"}},
        BadHeader{"TensorIsList", with_x("[]"), 0, {"\"x\"", "list"}},
        BadHeader{"LineBreakInName", "{\"a\\nb\":1}", 0, {"a b"}}),
    [](const auto& info) { return info.param.name; });

// Megabytes each: no parameters, which every start of the test program would make.
TEST(Safetensors, DeepAndLongHeadersAreRefused) {
  std::string maps;
  for (int depth = 0; depth < 1'000'000; ++depth) maps += "{\"x\":";
  expect_refused_header({"DeepMaps", std::move(maps), 0, {"\"x\""}});
  expect_refused_header({"DeepLists", nested(1'000'000), 0, {"\"x\""}});
  expect_refused_header({"LongName", "{\"" + std::string(1'000'000, 'n') + "\":1}", 0, {"nnn"}});
}

TEST(Safetensors, AcceptsTheHeadersOfOtherWriters) {
  const TempFolder folder;
  const auto open = [&](const std::string& header, std::size_t data) {
    return SafetensorsFile::open(folder.write("a.safetensors", safetensors_text(header, data)));
  };
  EXPECT_EQ(
      open("{\"y\":" + kMore + ",\"__metadata__\":{\"format\":\"pt\"},\"x\":" + kGood + "}   ", 8).tensors()[0].name,
      "x");
  EXPECT_EQ(open(with_x(entry("F4", "[2,3]", "[0,3]")), 3).tensors()[0].elements(), 6);
  EXPECT_EQ(open(with_x(entry("I64", "[0]", "[0,0]")), 0).tensors()[0].bytes, 0u);
}

TEST(Safetensors, RefusesFilesThatCannotBeSafetensors) {
  const TempFolder folder;
  const auto expect_refused = [](const std::filesystem::path& path, const std::string& part) {
    expect_mentions(refusal([&] { static_cast<void>(SafetensorsFile::open(path)); }), {path.string() + ": ", part});
  };
  expect_refused(folder.path() / "absent", "No such file");
  expect_refused(folder.path(), "folder");
  expect_refused(folder.write("empty", ""), "empty");
  expect_refused(folder.write("short", "1234567"), "7 bytes");
  expect_refused(folder.write("long header", std::string("\x10\0\0\0\0\0\0\0{}", 10)), "longer than the file");
  expect_refused(folder.write("endless header", std::string(8, '\xff') + "{}"), "longer than the file");
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_refused(pipe, "no regular file");
  const auto huge = folder.write("huge header", std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10));  // 100,000,001
  std::filesystem::resize_file(huge, 100'000'100);
  expect_refused(huge, "more than the format allows");
}

TEST(Safetensors, EveryTruncatedFileIsRefused) {
  const TempFolder folder;
  write_safetensors(folder.path() / "good", sample_tensors());
  const std::string good = file_text(folder.path() / "good");
  const auto expect_refused = [&](const std::string& name, const std::string& text) {
    const auto path = folder.write(name, text);
    expect_mentions(refusal([&] { static_cast<void>(SafetensorsFile::open(path)); }), {path.string() + ": "});
  };
  for (std::size_t length = 0; length < good.size(); ++length)
    expect_refused(std::to_string(length), good.substr(0, length));
  expect_refused("longer", good + 'x');
}

TEST(Safetensors, EveryMutatedHeaderIsReadOrRefused) {
  const TempFolder folder;
  write_safetensors(folder.path() / "good", sample_tensors());
  const std::string file = file_text(folder.path() / "good");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  const std::string header = file.substr(sizeof(length), length);
  const std::size_t data_bytes = file.size() - sizeof(length) - length;
  std::mt19937 random(11);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string mutant = header;
    for (int change = 0; change <= round % 3; ++change) {
      const char other = header[random() % header.size()];  // from the header itself: more of them stay JSON
      mutant[random() % mutant.size()] = round % 2 == 0 ? other : static_cast<char>(random());
    }
    try {
      for (const TensorInfo& tensor : parse_safetensors_header(mutant, 100, data_bytes, "mutant").tensors) {
        EXPECT_LE(tensor.offset + tensor.bytes, 100 + data_bytes) << mutant;
      }
    } catch (const Error& error) {
      expect_mentions(error.what(), {"mutant: "});
      ++refused;
    }
  }
  EXPECT_GT(refused, 10'000);
}

TEST(SafetensorsWriter, ReplacesAFileAsAWhole) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  write_safetensors(path, sample_tensors());
  const SafetensorsFile old = SafetensorsFile::open(path);
  write_safetensors(path, {});
  EXPECT_TRUE(SafetensorsFile::open(path).tensors().empty());
  EXPECT_TRUE(std::ranges::equal(old.bytes(*old.find("out")), bytes_of(kFloats)));
}

TEST(SafetensorsWriter, NamesThePathThatCannotBeWritten) {
  const TempFolder folder;
  const auto expect_refused = [](const std::filesystem::path& path, const std::string& part) {
    expect_mentions(refusal([&] { write_safetensors(path, sample_tensors()); }), {path.string() + ": ", part});
  };
  expect_refused(folder.path() / "absent" / "a.safetensors", "create its folder first");
  expect_refused(folder.write("file", "text") / "a.safetensors", "create its folder first");
  expect_refused(folder.path(), "no regular file");
  expect_refused("/dev/null", "no regular file");
  EXPECT_EQ(file_count(folder.path()), 1u);
}

TEST(SafetensorsWriter, LeavesUnwritableFoldersAlone) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TempFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const std::string text = refusal([&] { write_safetensors(folder.path() / "a.safetensors", sample_tensors()); });
  expect_mentions(text, {(folder.path() / "a.safetensors").string()});
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

// A limit on the size of files stands for the disk that fills up: the write fails in the middle.
TEST(SafetensorsWriter, LeavesTheOldFileWhenTheDiskFillsUp) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  write_safetensors(path, sample_tensors());
  const std::string before = file_text(path);
  const std::vector<float> large(100'000, 1.0f);
  const std::vector<OutputTensor> tensors{{"large", DType::f32, {100'000}, bytes_of(large)}};

  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const struct rlimit small { .rlim_cur = 65536, .rlim_max = limit.rlim_max };
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text = refusal([&] { write_safetensors(path, tensors); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, old_handler);

  expect_mentions(text, {path.string() + ": cannot be written: File too large"});
  EXPECT_EQ(file_text(path), before);
  EXPECT_EQ(file_count(folder.path()), 1u);
}

}  // namespace
}  // namespace attnlab::model
