// Tensors that stand elsewhere than they are asked for: each number against the place that the layout describes.
#include <cstring>
#include <numeric>
#include <span>

#include "model/checkpoints/checkpoint.h"
#include "unit/model_test_files.h"

namespace attnlab::model {
namespace {

using model_test::expect_mentions;
using model_test::refusal;
using model_test::TempFolder;
using Shape = std::vector<std::int64_t>;

class Layouts : public testing::Test {
 protected:
  // Numbers 0, 1, 2, ... in every tensor.
  void write(const std::vector<std::pair<std::string, Shape>>& tensors) {
    std::vector<std::vector<float>> values;
    std::vector<OutputTensor> out;
    values.reserve(tensors.size());
    for (const auto& [name, shape] : tensors) {
      std::int64_t count = 1;
      for (const std::int64_t extent : shape) count *= extent;
      std::vector<float>& numbers = values.emplace_back(static_cast<std::size_t>(count));
      std::iota(numbers.begin(), numbers.end(), 0.0F);
      out.push_back(
          {.name = name, .dtype = DType::f32, .shape = shape, .bytes = std::as_bytes(std::span(values.back()))});
    }
    write_safetensors(folder_.path() / "model.safetensors", out);
  }
  Checkpoint open(const TensorLayout& layout) const {
    Checkpoint checkpoint = Checkpoint::open(folder_.path());
    checkpoint.arrange(layout);
    return checkpoint;
  }
  // The whole tensor, and the same in pieces.
  static std::vector<float> read(const Checkpoint& checkpoint, std::string_view name) {
    const StoredTensor tensor = checkpoint.find(name).value();
    std::vector<float> whole(static_cast<std::size_t>(tensor.info->elements())), pieces(whole.size());
    read_f32(tensor, whole);
    for (std::size_t from = 0, size = 1; from < pieces.size(); from += size, size = size % 3 + 1) {
      size = std::min(size, pieces.size() - from);
      read_f32(tensor, static_cast<std::int64_t>(from), std::span(pieces).subspan(from, size));
    }
    EXPECT_EQ(whole, pieces) << name;
    return whole;
  }

  TempFolder folder_;
};

TEST_F(Layouts, RenameAndAddAndIgnore) {
  write({{"a", {2, 3}}, {"b", {3}}, {"x.bias", {1}}, {"model.layers.7.t", {1}}, {"model.layers.1.t", {1}}});
  TensorLayout layout;
  layout.rename("first", "a");
  layout.plus_one("b", "b");
  layout.ignore_ending("x.bias");
  layout.ignore_layers_from(2);
  const Checkpoint checkpoint = open(layout);
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"b", "first", "model.layers.1.t"}));
  EXPECT_EQ(read(checkpoint, "first"), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(read(checkpoint, "b"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(checkpoint.find("first")->info->shape, (Shape{2, 3}));
}

TEST_F(Layouts, HaveNoNamesThatOnlyDecodersKnow) {
  write({{"wte", {2, 3}}, {"embed", {2, 3}}});
  TensorLayout layout;
  layout.rename("embed", "wte");
  expect_mentions(refusal([&] { (void)open(layout); }), {"tensor \"embed\"", "belongs to no part", "\"wte\""});
}

TEST_F(Layouts, SeeTwoTensorsForOneParameter) {
  write({{"t.wte", {2, 3}}, {"wte", {2, 3}}});
  TensorLayout layout;
  layout.optional_prefix("t.");
  expect_mentions(refusal([&] { (void)open(layout); }), {"\"t.wte\"", "\"wte\"", "the same parameter"});
}

TEST_F(Layouts, TellWhichStoredElementIsMeant) {
  write({{"fused", {6, 2}}, {"in_out", {2, 3}}});
  TensorLayout layout;
  layout.rows("k", "fused", {2, 2}, 4, 6);
  layout.columns("out", "in_out", {3, 2}, 0, 3);
  const Checkpoint checkpoint = open(layout);
  for (const char* name : {"k", "out"}) {
    const std::vector<float> numbers = read(checkpoint, name);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(static_cast<float>(element_in_file(*checkpoint.find(name)->info, static_cast<std::int64_t>(i))),
                numbers[i])
          << name;
  }
  EXPECT_EQ(checkpoint.stored_names(), (std::vector<std::string>{"fused", "in_out"}));
}

TEST_F(Layouts, CutRows) {
  write({{"fused", {6, 2}}, {"bias", {6}}});
  TensorLayout layout;
  layout.rows("q", "fused", {4, 2}, 0, 6);
  layout.rows("k", "fused", {2, 2}, 4, 6);
  layout.rows("k.bias", "bias", {2}, 4, 6);
  const Checkpoint checkpoint = open(layout);
  EXPECT_EQ(read(checkpoint, "q"), (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(read(checkpoint, "k"), (std::vector<float>{8, 9, 10, 11}));
  EXPECT_EQ(read(checkpoint, "k.bias"), (std::vector<float>{4, 5}));
  EXPECT_FALSE(checkpoint.find("fused"));
}

// Two heads of two rows, of which each has its queries, keys and values side by side.
TEST_F(Layouts, CutRowsOfHeads) {
  write({{"qkv", {12, 1}}, {"qkv.bias", {12}}});
  TensorLayout layout;
  int part = 0;
  for (const char* name : {"q", "k", "v"}) layout.rows_of_heads(name, "qkv", {4, 1}, 2, 2 * part++, 6);
  layout.rows_of_heads("k.bias", "qkv.bias", {4}, 2, 2, 6);
  const Checkpoint checkpoint = open(layout);
  EXPECT_EQ(read(checkpoint, "q"), (std::vector<float>{0, 1, 6, 7}));
  EXPECT_EQ(read(checkpoint, "k"), (std::vector<float>{2, 3, 8, 9}));
  EXPECT_EQ(read(checkpoint, "v"), (std::vector<float>{4, 5, 10, 11}));
  EXPECT_EQ(read(checkpoint, "k.bias"), (std::vector<float>{2, 3, 8, 9}));
}

TEST_F(Layouts, TurnColumnsIntoRows) {
  write({{"c_attn", {2, 6}}, {"experts", {2, 2, 4}}, {"biases", {2, 4}}});
  TensorLayout layout;
  layout.columns("k", "c_attn", {2, 2}, 2, 6);
  layout.columns_of(1, 2, "gate", "experts", {2, 2}, 0, 4, 2);
  layout.columns_of(1, 2, "up", "experts", {2, 2}, 1, 4, 2);
  layout.numbers_of(1, 2, "up.bias", "biases", 2, 1, 4, 2);
  const Checkpoint checkpoint = open(layout);
  EXPECT_EQ(read(checkpoint, "k"), (std::vector<float>{2, 8, 3, 9})) << "[out, in] of columns 2 and 3";
  EXPECT_EQ(read(checkpoint, "gate"), (std::vector<float>{8, 12, 10, 14}));
  EXPECT_EQ(read(checkpoint, "up"), (std::vector<float>{9, 13, 11, 15}));
  EXPECT_EQ(read(checkpoint, "up.bias"), (std::vector<float>{5, 7}));
}

TEST_F(Layouts, SeeThroughAPrefixThatMayBeThere) {
  write({{"transformer.wte.weight", {2, 2}}});
  TensorLayout layout;
  layout.optional_prefix("transformer.");
  layout.rename("model.embed_tokens.weight", "wte.weight");
  EXPECT_TRUE(open(layout).find("model.embed_tokens.weight"));
}

TEST_F(Layouts, OfAnotherShapeAreRefusedAndWhatIsMissingIsNamedAsStored) {
  write({{"fused", {5, 2}}});
  TensorLayout layout;
  layout.rows("q", "fused", {4, 2}, 0, 6);
  layout.rows("v", "other", {4, 2}, 0, 6);
  expect_mentions(refusal([&] { (void)open(layout); }), {"\"fused\" has shape [5, 2]", "the model needs [6, 2]"});
  TensorLayout missing;
  missing.rows("v", "other", {4, 2}, 0, 6);
  const Checkpoint checkpoint = open(missing);
  EXPECT_FALSE(checkpoint.find("v"));
  EXPECT_EQ(checkpoint.name_in_file("v"), "other");
}

}  // namespace
}  // namespace attnlab::model
