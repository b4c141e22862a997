#include "generation/text_writer.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/require.h"
#include "generation/decoding/banned_phrases.h"
#include "generation/decoding/beam_strategy.h"
#include "generation/decoding/sampling_strategy.h"

namespace sartor::inference {
namespace {

std::vector<int32_t> checked_end_ids(std::vector<int32_t> ids, const DecodingConfig& config, int64_t vocabulary) {
  for (const int32_t id : ids) {
    require(id >= 0 && id < vocabulary, "the end token is {}, but the model has {} tokens", id, vocabulary);
  }
  if (config.ignore_eos) ids.clear();
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  return ids;
}

// At most what texts of the greatest length need, twice: as much may be kept for later prompts.
int64_t cache_blocks(const gpt::Decoder& decoder, const DecodingConfig& config, const WriterLimits& limits) {
  const int64_t blocks = limits.cache_bytes / decoder.bytes_per_block();
  require(blocks > 0, "cache_bytes is {}, but a block of {} tokens needs {}", limits.cache_bytes, cuda::cache_block,
          decoder.bytes_per_block());
  const int64_t texts = std::max(limits.max_sequences, config.num_beams);
  return std::min(blocks, 2 * texts * (blocks_for(decoder.config().longest_sequence()) + 1));
}

}  // namespace

class TextWriter::Impl {
 public:
  Impl(gpt::Decoder& decoder, const text::Tokenizer& tokenizer, DecodingConfig config, std::vector<int32_t> end_ids,
       const WriterLimits& limits)
      : decoder_(decoder),
        tokenizer_(tokenizer),
        config_(std::move(config)),
        end_ids_(checked_end_ids(std::move(end_ids), config_, vocabulary())),
        stops_(config_.stop_strings),
        counts_{.blocks = cache_blocks(decoder, config_, limits)},
        cache_(counts_.blocks, limits.share_prefixes, [&](int32_t from, int32_t to) { decoder_.copy_block(from, to); }),
        scheduler_(cache_, limits, config_.num_beams, counts_) {
    config_.check();
    const WriterParts parts{decoder_, tokenizer_, config_, end_ids_, stops_, cache_, scheduler_, counts_};
    const auto banned = tokenize_phrases(tokenizer_, config_.banned_phrases, end_ids_);
    if (config_.num_beams > 1) {
      check_beams();
      strategy_ = std::make_unique<BeamStrategy>(parts, banned);
    } else {
      strategy_ = std::make_unique<SamplingStrategy>(parts, banned, limits);
    }
    decoder_.allocate(counts_.blocks);
  }

  void write(const Next& next, const Done& done, const Piece& piece) {
    try {
      strategy_->piece = piece;
      strategy_->deliver = [&](Written written) {
        if (auto prompt = done(std::move(written))) scheduler_.add(request(std::move(*prompt)));
      };
      bool has_next = true;
      const std::function<RequestPtr()> next_request = [&]() -> RequestPtr {
        auto prompt = has_next ? next() : std::nullopt;
        has_next = prompt.has_value();
        return has_next ? request(std::move(*prompt)) : nullptr;
      };
      while (step(next_request)) {
      }
    } catch (...) {
      scheduler_.clear();
      strategy_->clear();
      throw;
    }
  }

  const WriterCounts& counts() {
    counts_.used_blocks = cache_.pool().used();
    counts_.peak_blocks = cache_.pool().peak();
    return counts_;
  }

 private:
  int64_t vocabulary() const { return decoder_.config().vocab_size; }

  void check_beams() const {
    const int64_t candidates = BeamRules{.config = &config_, .end_ids = end_ids_}.candidates();
    require(candidates <= vocabulary(), "{} beams need a vocabulary of at least {} tokens, but the model has {}",
            config_.num_beams, candidates, vocabulary());
  }

  // Returns false if there is nothing left to write.
  bool step(const std::function<RequestPtr()>& next) {
    scheduler_.plan(next);
    if (scheduler_.chunks().empty()) {
      const bool settled = strategy_->settle();
      assert(settled || scheduler_.is_empty());
      return settled;
    }
    const auto logits = decoder_.run(scheduler_.chunks(), strategy_->last_ids());
    counts_.steps++;
    scheduler_.set_running();
    strategy_->advance(logits);
    return true;
  }

  RequestPtr request(Prompt prompt) const {
    check(prompt);
    auto request = std::make_shared<Request>(tokenizer_, stops_);
    request->row = prompt.row;
    request->variant = prompt.first_variant;
    request->variants = prompt.variants;
    request->prompt = std::ssize(prompt.ids);
    request->max_new_tokens = max_new_tokens(prompt);
    auto& sequence = request->sequences.emplace_back();
    sequence.ids = std::move(prompt.ids);
    sequence.ids.reserve(request->prompt + request->max_new_tokens);
    strategy_->prepare(*request);
    return request;
  }

  int64_t max_new_tokens(const Prompt& prompt) const { return prompt.max_new_tokens.value_or(config_.max_new_tokens); }

  void check(const Prompt& prompt) const {
    const int64_t row = prompt.row, length = std::ssize(prompt.ids), longest = decoder_.config().longest_sequence();
    const int64_t new_tokens = max_new_tokens(prompt);
    require(length > 0, "row {}: the prompt has no tokens, but a text needs at least one to begin from", row);
    for (const int32_t id : prompt.ids) {
      require(id >= 0 && id < vocabulary(), "row {}: the prompt contains token {}, but the model has {} tokens", row,
              id, vocabulary());
    }
    require(new_tokens > 0 && new_tokens <= config_.max_new_tokens,
            "row {}: max_new_tokens of the prompt is {}, expected 1 to {}", row, new_tokens, config_.max_new_tokens);
    require(config_.num_beams == 1 || new_tokens == config_.max_new_tokens,
            "row {}: max_new_tokens of the prompt is {}, but all beams are written up to {}", row, new_tokens,
            config_.max_new_tokens);
    require(length + new_tokens <= longest,
            "row {}: the prompt has {} tokens, which with max_new_tokens {} exceeds the {} positions of the model", row,
            length, new_tokens, longest);
    check_variants(prompt);
    const int64_t needed = needed_blocks(length + new_tokens - 1, length);
    require(
        needed <= counts_.blocks,
        "row {}: the prompt has {} tokens, which with max_new_tokens {} and num_beams {} needs {} blocks of {} bytes "
        "in the cache, but cache_bytes has room for {}",
        row, length, new_tokens, config_.num_beams, needed, decoder_.bytes_per_block(), counts_.blocks);
  }

  void check_variants(const Prompt& prompt) const {
    require(prompt.variants > 0, "row {}: {} variants, expected at least 1", prompt.row, prompt.variants);
    require(prompt.variants == 1 || config_.do_sample || config_.num_beams > 1,
            "row {}: {} variants, but without do_sample: true or num_beams above 1 all would be equal", prompt.row,
            prompt.variants);
    require(config_.num_beams == 1 || prompt.variants <= config_.num_beams,
            "row {}: {} variants, more than num_beams {}", prompt.row, prompt.variants, config_.num_beams);
  }

  // For a prompt alone in the cache. The last token of a text is never cached. Beams share the full blocks of their
  // prompt.
  int64_t needed_blocks(int64_t tokens, int64_t prompt) const {
    const int64_t all = blocks_for(tokens);
    const int64_t shared = prompt / cuda::cache_block;
    return shared + config_.num_beams * (all - shared);
  }

  gpt::Decoder& decoder_;
  const text::Tokenizer& tokenizer_;
  DecodingConfig config_;
  std::vector<int32_t> end_ids_;
  StopStrings stops_;
  WriterCounts counts_;
  SequenceCache cache_;
  Scheduler scheduler_;
  std::unique_ptr<Strategy> strategy_;
};

TextWriter::TextWriter(gpt::Decoder& decoder, const text::Tokenizer& tokenizer, DecodingConfig config,
                       std::vector<int32_t> end_ids, WriterLimits limits)
    : impl_(std::make_unique<Impl>(decoder, tokenizer, std::move(config), std::move(end_ids), limits)) {}

TextWriter::~TextWriter() = default;

void TextWriter::write(const Next& next, const Done& done, const Piece& piece) { impl_->write(next, done, piece); }

const WriterCounts& TextWriter::counts() const { return impl_->counts(); }

}  // namespace sartor::inference
