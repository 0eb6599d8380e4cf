// GGUF files that are wrong: each is refused with one line that names the file, the key or tensor, and the cause.
#include <functional>
#include <utility>

#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/gguf_blocks.h"
#include "model/checkpoints/gguf_file.h"
#include "model/config/gguf_config.h"
#include "model/tokenizers/tokenizer.h"
#include "unit/gguf_bytes.h"
#include "unit/model_test_files.h"

namespace attnlab::model {
namespace {

using model_test::expect_mentions;
using model_test::GgufBytes;
using model_test::raw;
using model_test::raw_text;
using model_test::refusal;
using model_test::small_gguf;
using model_test::TempFolder;

using Change = std::function<void(GgufBytes&)>;
using Parts = std::vector<std::string>;

class Gguf : public testing::Test {
 protected:
  std::filesystem::path write(std::string_view bytes) const { return folder_.write("m.gguf", bytes); }
  std::filesystem::path write(const Change& change) const {
    GgufBytes gguf = small_gguf();
    change(gguf);
    return write(gguf.bytes());
  }
  // What `read` says of each of the changed files.
  template <class Read>
  void expect_refused(const std::vector<std::pair<Change, Parts>>& cases, const Read& read) const {
    int index = 0;
    for (const auto& [change, parts] : cases) {
      SCOPED_TRACE(testing::Message() << "case " << index++);
      const std::filesystem::path path = write(change);
      const std::string text = refusal([&] { read(path); });
      expect_mentions(text, parts);
      expect_mentions(text, {path.string() + ": "});
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }

  TempFolder folder_;
};

TEST_F(Gguf, ThatIsWellIsRead) {
  const std::filesystem::path path = write([](GgufBytes&) {});
  EXPECT_EQ(open_gguf(path).tensors.size(), 11U);
  const ModelConfig config = read_gguf_config(path);
  EXPECT_EQ(config.heads, 2);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.vocab_size, 4);
  EXPECT_EQ(config.tie_word_embeddings, std::optional(true));
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_TRUE(checkpoint.find("model.layers.0.self_attn.q_proj.weight"));
  EXPECT_EQ(checkpoint.find("model.layers.0.self_attn.q_proj.weight")->info->interleaved_heads, 2);
  EXPECT_EQ(checkpoint.find("model.layers.0.self_attn.v_proj.weight")->info->interleaved_heads, 0);
  const auto tokenizer = load_tokenizer(path);
  EXPECT_EQ(tokenizer->bos(), std::optional(1));
  EXPECT_TRUE(tokenizer->adds_bos());
}

TEST_F(Gguf, OfVersion2IsReadToo) {
  EXPECT_EQ(open_gguf(write([](GgufBytes& gguf) { gguf.version = 2; })).tensors.size(), 11U);
}

TEST_F(Gguf, KeysThatNobodyKnowsAreIgnored) {
  const std::filesystem::path path = write([](GgufBytes& gguf) {
    gguf.keys.push_back({"x.u8", 0, "\x7f"});
    gguf.keys.push_back({"x.i64", 11, raw<std::int64_t>(-5)});
    gguf.keys.push_back({"x.f64", 12, raw(2.5)});
    gguf.keys.push_back(
        {"x.nested", 9,
         raw<std::uint32_t>(9) + raw<std::uint64_t>(1) + raw<std::uint32_t>(1) + raw<std::uint64_t>(2) + "\x01\xff"});
  });
  const GgufFile gguf = open_gguf(path);
  EXPECT_EQ(gguf.keys.at("x.u8"), 127);
  EXPECT_EQ(gguf.keys.at("x.i64"), -5);
  EXPECT_EQ(gguf.keys.at("x.f64"), 2.5);
  EXPECT_EQ(gguf.keys.at("x.nested"), nullptr) << "lists that nobody needs are passed over";
  EXPECT_EQ(read_gguf_config(path).layers, 1);
}

TEST_F(Gguf, WhoseContainerIsWrongIsRefused) {
  const auto tensor = [](const std::string& name, std::vector<std::uint64_t> dimensions, std::uint32_t type,
                         std::uint64_t offset) {
    return [=](GgufBytes& gguf) { gguf.tensors.push_back({name, dimensions, type, offset}); };
  };
  const auto key = [](const std::string& name, std::uint32_t type, const std::string& value) {
    return [=](GgufBytes& gguf) { gguf.keys.push_back({name, type, value}); };
  };
  static constexpr std::uint64_t huge = ~std::uint64_t{0};
  expect_refused({{[](GgufBytes& gguf) { gguf.magic = "GGML"; }, {"does not begin with \"GGUF\""}},
                  {[](GgufBytes& gguf) { gguf.version = 1; }, {"version 1", "versions 2 and 3"}},
                  {[](GgufBytes& gguf) { gguf.version = 4; }, {"version 4"}},
                  {[](GgufBytes& gguf) { gguf.version = 0x03000000; }, {"big-endian"}},
                  {[](GgufBytes& gguf) { gguf.version = 0x02000000; }, {"big-endian"}},
                  {[](GgufBytes& gguf) { gguf.tensor_count = huge; }, {"tensors", "bytes are left"}},
                  {[](GgufBytes& gguf) { gguf.key_count = huge; }, {"keys", "bytes are left"}},
                  {[](GgufBytes& gguf) { gguf.key_count = gguf.keys.size() + 1; }, {"bytes, and"}},
                  {[](GgufBytes& gguf) { gguf.tensor_count = gguf.tensors.size() + 5; }, {"tensor"}},
                  {key("x", 13, ""), {"key \"x\"", "type 13"}},
                  {key("x", 7, "\2"), {"key \"x\"", "neither true"}},
                  {key("x", 8, raw(huge)), {"key \"x\"", "bytes, and"}},
                  {key("x", 8, raw_text("\xff\xfe")), {"key \"x\"", "no UTF-8"}},
                  {key("\xc3", 4, raw<std::uint32_t>(1)), {"no UTF-8"}},
                  {key("x", 9, raw<std::uint32_t>(0) + raw(huge)), {"key \"x\"", "elements, and"}},
                  {key("x", 9, raw<std::uint32_t>(8) + raw<std::uint64_t>(1000000)), {"key \"x\"", "1000000 elements"}},
                  {key("x", 9, raw<std::uint32_t>(77) + raw<std::uint64_t>(1)), {"key \"x\"", "type 77"}},
                  {[](GgufBytes& gguf) {
                     std::string nested;
                     for (int depth = 0; depth < 9; ++depth) nested += raw<std::uint32_t>(9) + raw<std::uint64_t>(1);
                     gguf.keys.push_back({"x", 9, nested + raw<std::uint32_t>(0) + raw<std::uint64_t>(0)});
                   },
                   {"key \"x\"", "deeper"}},
                  {key("general.architecture", 8, raw_text("llama")), {"general.architecture", "comes twice"}},
                  {key("general.alignment", 4, raw<std::uint32_t>(0)), {"general.alignment", "power of two"}},
                  {key("general.alignment", 4, raw<std::uint32_t>(48)), {"general.alignment", "48"}},
                  {key("general.alignment", 8, raw_text("32")), {"general.alignment"}},
                  {key("general.alignment", 4, raw<std::uint32_t>(0x80000000)), {"general.alignment"}},
                  {key("split.count", 2, raw<std::uint16_t>(3)), {"one of 3 parts", "merge"}},
                  {tensor("t", {}, 0, 0), {"tensor \"t\"", "0 dimensions"}},
                  {tensor("t", {1, 1, 1, 1, 1}, 0, 0), {"tensor \"t\"", "5 dimensions"}},
                  {tensor("t", {0}, 0, 0), {"tensor \"t\"", "no elements"}},
                  {tensor("t", {huge, huge}, 0, 0), {"tensor \"t\"", "more elements"}},
                  {tensor("t", {1ULL << 40, 1ULL << 40}, 0, 0), {"tensor \"t\"", "more elements"}},
                  {tensor("t", {8}, 0, 1 << 20), {"tensor \"t\"", "beyond the end"}},
                  {tensor("t", {1ULL << 30}, 0, 0), {"tensor \"t\"", "beyond the end"}},
                  {tensor("t", {8}, 0, huge - 31), {"tensor \"t\"", "beyond the end"}},
                  {tensor("t", {8}, 0, 16), {"tensor \"t\"", "multiple of 32"}},
                  {tensor("t", {8}, 0, 0), {"\"token_embd.weight\"", "\"t\"", "overlap"}},
                  {tensor("output_norm.weight", {8}, 0, 0), {"output_norm.weight", "comes twice"}},
                  {tensor("t", {8}, 6, 0), {"tensor \"t\"", "Q5_0", "Q8_0"}},
                  {tensor("t", {8}, 13, 0), {"Q5_K"}},
                  {tensor("t", {8}, 16, 0), {"IQ2_XXS"}},
                  {tensor("t", {8}, 4711, 0), {"tensor \"t\"", "number 4711"}},
                  {tensor("t", {8}, 1, 0), {"tensor \"t\"", "one dimension", "F16"}},
                  {tensor("t", {33}, 8, 0), {"tensor \"t\"", "rows of 33", "blocks of 32", "Q8_0"}},
                  {tensor("t", {16, 2}, 2, 0), {"tensor \"t\"", "rows of 16", "Q4_0"}},
                  {tensor("t", {128, 2}, 12, 0), {"rows of 128", "blocks of 256", "Q4_K"}},
                  {tensor("t", {255}, 14, 0), {"Q6_K"}},
                  {tensor("\xff", {8}, 0, 0), {"no UTF-8"}},
                  {[](GgufBytes& gguf) { gguf.data_bytes -= 64; }, {"beyond the end"}},
                  {[](GgufBytes& gguf) { gguf.data_bytes = 0; }, {"beyond the end"}}},
                 [](const std::filesystem::path& path) { (void)open_gguf(path); });
}

TEST_F(Gguf, IsRefusedWhereverItIsCutOff) {
  const std::string whole = small_gguf().bytes();
  for (std::size_t length = 0; length < whole.size(); length += length < 1200 ? 1 : 37) {
    const std::filesystem::path path = write(std::string_view(whole).substr(0, length));
    EXPECT_FALSE(refusal([&] { (void)open_gguf(path); }).empty()) << length;
  }
}

TEST_F(Gguf, WhoseModelIsWrongIsRefused) {
  const auto without = [](const std::string& name) { return [=](GgufBytes& gguf) { gguf.drop(name); }; };
  const auto with = [](const std::string& name, std::uint32_t type, const std::string& value) {
    return [=](GgufBytes& gguf) {
      gguf.drop(name);
      gguf.keys.push_back({name, type, value});
    };
  };
  const auto one = raw<std::uint32_t>(1);
  expect_refused(
      {{without("general.architecture"), {"general.architecture", "llama, qwen2, qwen3"}},
       {with("general.architecture", 4, one), {"general.architecture"}},
       {with("general.architecture", 8, raw_text("falcon")), {"\"falcon\" is not supported"}},
       {without("llama.block_count"), {"llama.block_count", "missing"}},
       {with("llama.block_count", 4, raw<std::uint32_t>(0)), {"llama.block_count: 0"}},
       {with("llama.block_count", 6, raw(1.5F)), {"llama.block_count: 1.5"}},
       {with("llama.embedding_length", 8, raw_text("8")), {"llama.embedding_length"}},
       {with("llama.embedding_length", 5, raw<std::int32_t>(-8)), {"llama.embedding_length: -8"}},
       {with("llama.attention.head_count", 4, raw<std::uint32_t>(3)), {"embedding_length: 8 is not divisible by 3"}},
       {with("llama.attention.head_count_kv", 4, raw<std::uint32_t>(3)), {"num_key_value_heads"}},
       {with("llama.attention.value_length", 4, raw<std::uint32_t>(2)), {"value_length"}},
       {with("llama.attention.layer_norm_rms_epsilon", 6, raw(-1.0F)), {"layer_norm_rms_epsilon"}},
       {with("llama.rope.freq_base", 6, raw(0.0F)), {"rope.freq_base"}},
       {with("llama.rope.dimension_count", 4, raw<std::uint32_t>(6)), {"rope.dimension_count: 6 is more"}},
       {with("llama.rope.dimension_count", 4, raw<std::uint32_t>(2)), {"rope.dimension_count: 2 of 4"}},
       {with("llama.rope.scaling.type", 8, raw_text("longrope")), {"rope.scaling.type", "linear and yarn"}},
       {with("llama.rope.scaling.type", 8, raw_text("linear")), {"rope.scaling.factor", "missing"}},
       {with("llama.rope.scaling.type", 8, raw_text("yarn")), {"rope.scaling.factor"}},
       {[](GgufBytes& gguf) { gguf.tensors.front().name = "t"; }, {"token_embd.weight", "missing"}}},
      [](const std::filesystem::path& path) { (void)read_gguf_config(path); });
}

TEST_F(Gguf, WhoseTokenizerIsWrongIsRefused) {
  const auto without = [](const std::string& name) { return [=](GgufBytes& gguf) { gguf.drop(name); }; };
  const auto texts = [](const std::string& name, const std::vector<std::string>& values) {
    return [=](GgufBytes& gguf) {
      gguf.drop(name);
      gguf.texts(name, values);
    };
  };
  const auto bpe = [](const std::function<void(GgufBytes&)>& change) {
    return [=](GgufBytes& gguf) {
      for (const char* name : {"model", "tokens", "token_type", "scores"})
        gguf.drop(std::string("tokenizer.ggml.") + name);
      gguf.text("tokenizer.ggml.model", "gpt2");
      gguf.text("tokenizer.ggml.pre", "gpt-2");
      gguf.texts("tokenizer.ggml.tokens", {"a", "b", "ab", "<end>"});
      gguf.texts("tokenizer.ggml.merges", {"a b"});
      gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {1, 1, 1, 3});
      gguf.drop("tokenizer.ggml.bos_token_id");
      gguf.drop("tokenizer.ggml.eos_token_id");
      change(gguf);
    };
  };
  expect_refused(
      {{without("tokenizer.ggml.model"), {"tokenizer.ggml.model", "missing"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.model");
          gguf.text("tokenizer.ggml.model", "bert");
        },
        {"\"bert\" is not supported", "llama and gpt2"}},
       {without("tokenizer.ggml.tokens"), {"tokenizer.ggml.tokens", "missing"}},
       {texts("tokenizer.ggml.tokens", {}), {"tokenizer.ggml.tokens", "empty"}},
       {texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>"}), {"3 tokens", "4 rows"}},
       {without("tokenizer.ggml.scores"), {"tokenizer.ggml.scores", "missing"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.scores");
          gguf.numbers<float>("tokenizer.ggml.scores", 6, {0, 0});
        },
        {"scores", "2 elements for 4"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.scores");
          gguf.numbers<float>("tokenizer.ggml.scores", 6, {0, 0, 0, std::nanf("")});
        },
        {"scores", "no number"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.token_type");
          gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3});
        },
        {"token_type", "3 elements for 4"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.token_type");
          gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 9});
        },
        {"token_type: 9"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.bos_token_id");
          gguf.count("tokenizer.ggml.bos_token_id", 4);
        },
        {"bos_token_id: 4", "4 tokens"}},
       {[](GgufBytes& gguf) { gguf.text("tokenizer.ggml.add_bos_token", "yes"); }, {"add_bos_token"}},
       {without("tokenizer.ggml.token_type"), {"token_type", "missing"}},
       {texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", ""}), {"tokens", "token 3 is empty"}},
       {texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<s>"}), {"tokens", "\"<s>\" comes twice"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.token_type");
          gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {1, 3, 3, 1});
        },
        {"token_type", "0 tokens are of type 2"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.token_type");
          gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 6});
        },
        {"token_type", "<0x00>", "256"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.bos_token_id");
          gguf.count("tokenizer.ggml.bos_token_id", 3);
        },
        {"bos_token_id: 3 is a token of texts"}},
       {[](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.eos_token_id");
          gguf.flag("tokenizer.ggml.add_eos_token", true);
        },
        {"add_eos_token: is true", "eos_token_id"}},
       {bpe([](GgufBytes& gguf) { gguf.drop("tokenizer.ggml.pre"); }), {"tokenizer.ggml.pre", "missing"}},
       {bpe([](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.pre");
          gguf.text("tokenizer.ggml.pre", "tekken");
        }),
        {"\"tekken\" is not supported", "gpt-2 and qwen2"}},
       {bpe([](GgufBytes& gguf) { gguf.drop("tokenizer.ggml.merges"); }), {"tokenizer.ggml.merges", "missing"}},
       {bpe([](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.merges");
          gguf.texts("tokenizer.ggml.merges", {"ab"});
        }),
        {"merges", "\"ab\" is no pair"}},
       {bpe([](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.merges");
          gguf.texts("tokenizer.ggml.merges", {"a b c"});
        }),
        {"merges", "no pair"}},
       {bpe([](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.merges");
          gguf.texts("tokenizer.ggml.merges", {"b a"});
        }),
        {"merges", "\"ba\" of \"b a\" is no token"}},
       {bpe([](GgufBytes& gguf) {
          gguf.drop("tokenizer.ggml.tokens");
          gguf.texts("tokenizer.ggml.tokens", {"a", "b", "a", "<end>"});
        }),
        {"tokens", "\"a\" comes twice"}}},
      [](const std::filesystem::path& path) { (void)load_tokenizer(path); });
}

TEST_F(Gguf, RowsOfQueriesAreTurnedBack) {
  GgufBytes gguf = small_gguf();
  std::string bytes = gguf.bytes();
  const std::size_t data = bytes.size() - gguf.data_bytes;
  const GgufBytes::Tensor& query = gguf.tensors[4];
  ASSERT_EQ(query.name, "blk.0.attn_q.weight");
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column) {
      const float value = static_cast<float>(10 * row + column);
      std::memcpy(bytes.data() + data + query.offset + (row * 8 + column) * sizeof value, &value, sizeof value);
    }
  const Checkpoint checkpoint = Checkpoint::open(write(bytes));
  std::vector<float> read(64);
  read_f32(*checkpoint.find("model.layers.0.self_attn.q_proj.weight"), read);
  // 2 heads of 4: rows 0 1 2 3 are stored as 0 2 1 3.
  const int stored[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column) EXPECT_EQ(read[row * 8 + column], 10 * stored[row] + column);
}

}  // namespace
}  // namespace attnlab::model
