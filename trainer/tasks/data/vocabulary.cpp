#include "tasks/data/vocabulary.h"

#include <functional>

#include "engine/checkpoints.h"
#include "engine/run_files.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/table_files.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/tokenizers/trainers/wordpiece_trainer.h"

namespace sartor {
namespace {

// What a trained tokenizer is written with.
struct Vocabulary {
  text::TokenizerSpec spec;
  text::TokenRoles roles;
};

// Trains on the texts that `visit` passes to its argument.
using VisitTexts = std::function<void(const std::function<void(std::string_view)>& add)>;

Vocabulary train_wordpiece(const VocabularyConfig& config, const VisitTexts& visit) {
  const auto& chosen = config.normalizer;
  text::WordPieceTrainer trainer({.vocabulary_size = config.vocab_size,
                                  .min_frequency = config.min_frequency,
                                  .limit_alphabet = config.limit_alphabet,
                                  .normalizer = {.handle_chinese_chars = chosen.handle_chinese_chars,
                                                 .strip_accents = chosen.strip_accents,
                                                 .lowercase = chosen.lowercase}});
  visit([&](std::string_view text) { trainer.add(text); });
  return {trainer.train(), {}};
}

text::ByteBpeTrainer byte_bpe_trainer(const VocabularyConfig& config) {
  return text::ByteBpeTrainer({.vocabulary_size = config.vocab_size,
                               .min_frequency = config.min_frequency,
                               .special_tokens = config.special_tokens,
                               .pattern = config.pattern,
                               .add_prefix_space = config.add_prefix_space,
                               .max_token_length = config.max_token_length});
}

Vocabulary train_byte_bpe(const VocabularyConfig& config, const VisitTexts& visit) {
  auto trainer = byte_bpe_trainer(config);
  visit([&](std::string_view text) { trainer.add(text); });
  const std::string& end = config.special_tokens.front();
  return {trainer.train(), {{"bos_token", end}, {"eos_token", end}, {"pad_token", end}}};
}

}  // namespace

void VocabularyConfig::check() const {
  if (model != VocabularyModel::byte_bpe) return;
  require(!special_tokens.empty(), "special_tokens are empty, expected at least one, which ends texts");
  byte_bpe_trainer(*this);  // throws if an option is out of range
}

void vocabulary(const VocabularyConfig& config, Runtime&) {
  // The tables are read twice: which rows are for training is known only after all have been read.
  for (const auto& source : config.data.sources) require_readable_twice(source.table, "for its words");
  const datasets::WatchedFiles watched(config.reads());
  datasets::Rejects rejects(config.rejects_path(), config.data.unfit), again;
  text::TextDivision division(config.data, config.split);
  text::TextSource first(config.data, rejects), second(config.data, again);
  for (text::TextBatch batch; first.next(batch);) division.add(batch);
  const auto counts = division.divide(config.duplicates, rejects);
  const auto train = config.model == VocabularyModel::wordpiece ? train_wordpiece : train_byte_bpe;
  const auto [spec, roles] = train(config, [&](const auto& add) {
    division.visit_training(second, add);
    watched.check();
  });

  const std::filesystem::path folder = config.folder();
  if (std::filesystem::exists(folder)) put_aside(folder);
  save_folder(folder,
              [&](const auto& aside) { text::write_tokenizer(aside, spec, config.model_max_length, "", roles); });
  rejects.finish();
  log_info("{}: {} tokens from {} training rows of {}; {} rejected", folder.string(), spec.vocabulary.size(),
           counts.train, counts.read + rejects.total(), rejects.total());
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
