// See the header. Without files beside it, a tokenizer.model is sentencepiece alone: special pieces written in a text
// are plain text, only ids can name them. With them it is what transformers' LlamaTokenizer makes of it: added and
// special tokens are found in the text first, and what is between them goes to sentencepiece.
#include "model/tokenizers/sentencepiece.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

#include <attnlab/error.h>

#include "model/tokenizers/sentencepiece_stream.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

using sentencepiece::SentencePieceProcessor;

// " (why)", unless it is only the place of a check in sentencepiece's own source.
std::string reason_of(const sentencepiece::util::Status& status) {
  const std::string message = LossyUtf8().push(status.message());
  return message.empty() || message.find(".cc(") != message.npos ? "" : " (" + message + ")";
}

std::optional<TokenId> id_of(const SentencePieceProcessor& processor, const std::string& piece) {
  const int id = processor.PieceToId(piece);  // the unknown piece's for every other text
  if (id < 0 || processor.IdToPiece(id) != piece) return std::nullopt;
  return id;
}

std::string read_bytes(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) throw Error(file.string(), "is no regular file");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(file.string(), "cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The model as it is in its file, and the same model without the space that it puts in front of every text.
class Processors {
 public:
  Processors(const std::string& bytes, const std::string& where) {
    const std::string remedy = "fetch the file again";
    if (bytes.empty()) throw Error(where, "is empty", remedy);
    const auto status = as_it_is_.LoadFromSerializedProto(bytes);
    if (!status.ok()) throw Error(where, "is no sentencepiece model" + reason_of(status), remedy);
    for (int id = 0; id < as_it_is_.GetPieceSize(); ++id) {
      if (first_invalid_utf8(as_it_is_.IdToPiece(id))) {
        throw Error(where, "is damaged: piece " + std::to_string(id) + " is not UTF-8", remedy);
      }
    }
    // Of a field that comes twice protobuf takes the last: normalizer_spec (3) { add_dummy_prefix (3): false }.
    static constexpr char kNoDummyPrefix[] = {3 << 3 | 2, 2, 3 << 3, 0};
    const auto again = without_space_.LoadFromSerializedProto(bytes + std::string(kNoDummyPrefix, 4));
    if (!again.ok()) throw Error(where, "is no sentencepiece model" + reason_of(again), remedy);
  }

  [[nodiscard]] const SentencePieceProcessor& as_it_is() const { return as_it_is_; }
  [[nodiscard]] const SentencePieceProcessor& without_space() const { return without_space_; }

 private:
  SentencePieceProcessor as_it_is_;
  SentencePieceProcessor without_space_;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  /// `json`: a tokenizer.json whose added tokens and template are to be taken, but not its other parts.
  SentencePieceTokenizer(std::unique_ptr<Processors> processors, const SideFiles& files,
                         const std::optional<JsonNode>& json)
      : processors_(std::move(processors)),
        vocab_size_(model().GetPieceSize()),
        prefix_first_only_(files.setting("legacy") == false),
        no_prefix_(files.setting("add_prefix_space") == false) {
    NamedTokens named = name_tokens(
        json ? json->find("added_tokens") : std::nullopt, files,
        [this](const std::string& piece) { return id_of(model(), piece); }, vocab_size_);
    if (files.config()) name_own_pieces(files, named.added);
    for (const AddedToken& token : named.added) {
      if (id_of(model(), token.content) != token.id) contents_.emplace(token.id, token.content);
      vocab_size_ = std::max(vocab_size_, token.id + 1);
      added_.add(token, token.content);
    }
    bos_ = named.bos ? named.bos : if_defined(model().bos_id());
    eos_ = named.eos ? named.eos : if_defined(model().eos_id());
    named.bos = bos_;
    named.eos = eos_;
    AddedAround around;
    if (bos_) around.before.push_back(*bos_);
    if (json) {
      if (const auto node = json->find("post_processor")) around = parse_post_processor(*node, vocab_size_);
    }
    around_ = added_around(files, named, std::move(around));
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    require_encodable(text);
    std::vector<TokenId> ids;
    for (const Segment& segment : added_.split(text)) {
      if (segment.id) {
        ids.push_back(*segment.id);
        continue;
      }
      std::vector<int> pieces;
      const auto status =
          of_run(segment.begin == 0).Encode(text.substr(segment.begin, segment.end - segment.begin), &pieces);
      if (!status.ok()) throw Error("", std::string("sentencepiece cannot encode this text: ") + status.message());
      ids.insert(ids.end(), pieces.begin(), pieces.end());
    }
    return ids;
  }

  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    std::vector<int> run;
    bool first = true;
    const auto take_run = [&] {
      if (!run.empty()) text += decode_pieces(of_run(std::exchange(first, false)), std::exchange(run, {}));
    };
    for (const TokenId id : ids) {
      require_token(id, vocab_size_);
      if (is_piece(id)) {
        run.push_back(id);
        continue;
      }
      take_run();
      text += content_of(id);
      first = false;
    }
    take_run();
    return text;
  }

  std::unique_ptr<StreamDecoder> stream() const override { return std::make_unique<Stream>(*this); }

  std::span<const TokenId> before_prompt() const override { return around_.before; }
  std::span<const TokenId> after_prompt() const override { return around_.after; }
  int vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<TokenId> eos() const override { return eos_; }

 private:
  class Stream final : public StreamDecoder {
   public:
    explicit Stream(const SentencePieceTokenizer& tokenizer) : tokenizer_(tokenizer), run_(tokenizer.of_run(true)) {}
    std::string push(TokenId id) override {
      require_token(id, tokenizer_.vocab_size_);
      if (tokenizer_.is_piece(id)) return run_.push(id);
      std::string text = run_.finish();
      run_ = PieceStream(tokenizer_.of_run(false));
      return text += tokenizer_.content_of(id);
    }
    std::string finish() override { return run_.finish(); }

   private:
    const SentencePieceTokenizer& tokenizer_;
    PieceStream run_;
  };

  static std::optional<TokenId> if_defined(int id) { return id >= 0 ? std::optional<TokenId>(id) : std::nullopt; }

  [[nodiscard]] const SentencePieceProcessor& model() const { return processors_->as_it_is(); }

  // For the text between two added tokens: a space comes in front of the first (legacy: false) or of every such run.
  [[nodiscard]] const SentencePieceProcessor& of_run(bool is_first) const {
    return no_prefix_ || (prefix_first_only_ && !is_first) ? processors_->without_space() : processors_->as_it_is();
  }

  // Else an added token, perhaps in the place of a piece, or an id that no token has.
  [[nodiscard]] bool is_piece(TokenId id) const { return id < model().GetPieceSize() && !contents_.contains(id); }
  [[nodiscard]] std::string content_of(TokenId id) const {
    const auto found = contents_.find(id);
    return found == contents_.end() ? std::string() : found->second;
  }

  // The special tokens that a tokenizer_config.json may leave to the model.
  void name_own_pieces(const SideFiles& files, std::vector<AddedToken>& added) const {
    const auto add = [&](const char* key, int id) {
      if (files.special_token(key) || id < 0) return;
      const bool is_known = std::ranges::any_of(added, [&](const AddedToken& token) { return token.id == id; });
      if (!is_known) added.push_back({.id = id, .content = model().IdToPiece(id)});
    };
    add("bos_token", model().bos_id());
    add("eos_token", model().eos_id());
    add("unk_token", model().unk_id());
  }

  std::unique_ptr<Processors> processors_;
  int vocab_size_;          // one more than the highest id
  bool prefix_first_only_;  // legacy: false
  bool no_prefix_;          // add_prefix_space: false
  AddedTokenFinder added_;
  std::unordered_map<TokenId, std::string> contents_;  // of added tokens that are no pieces
  AddedAround around_;
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
};

// "model.vocab" of a tokenizer.json: {token: id} or a list of [token, score].
bool has_the_same_tokens(const JsonNode& json, const SentencePieceProcessor& processor) {
  const JsonValue vocab = json.at("model").at("vocab").value();
  const bool is_list = vocab.is(JsonKind::list);
  if (!is_list && !vocab.is(JsonKind::object)) return false;
  if (static_cast<int>(vocab.size()) != processor.GetPieceSize()) return false;
  if (is_list) {
    int id = 0;
    for (const JsonValue value : vocab.values()) {
      if (!value.is(JsonKind::list) || value.size() == 0) return false;
      const JsonValue token = *value.values().begin();
      if (!token.is(JsonKind::string) || token.text() != processor.IdToPiece(id++)) return false;
    }
    return true;
  }
  for (const JsonValue::Entry entry : vocab.entries()) {
    if (!entry.value().is(JsonKind::integer)) return false;
    const std::int64_t id = entry.value().integer();
    if (id < 0 || id >= processor.GetPieceSize()) return false;
    if (entry.key != processor.IdToPiece(static_cast<int>(id))) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file, const SideFiles& files) {
  return sentencepiece_tokenizer(read_bytes(file), file.string(), files);
}

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& bytes, const std::string& where,
                                                   const SideFiles& files) {
  return std::make_unique<SentencePieceTokenizer>(std::make_unique<Processors>(bytes, where), files, std::nullopt);
}

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer_of(const std::filesystem::path& file,
                                                           const std::filesystem::path& json, const SideFiles& files) {
  const JsonDocument document = JsonDocument::read(json, kMaxTokenizerBytes);
  const JsonNode node(document.root(), json.string());
  auto processors = std::make_unique<Processors>(read_bytes(file), file.string());
  if (!has_the_same_tokens(node, processors->as_it_is())) return nullptr;
  return std::make_unique<SentencePieceTokenizer>(std::move(processors), files, node);
}

}  // namespace attnlab::model::tokenizer_parts
