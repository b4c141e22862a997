#include "tasks/vocabulary.h"

#include "engine/checkpoints.h"
#include "engine/run_files.h"
#include "runtime/log.h"
#include "text/tokenizer_files.h"
#include "text/wordpiece_trainer.h"

namespace sartor {
namespace {

using datasets::TextBatch;

// By a row's place among all that are read.
std::vector<bool> training_rows(const datasets::TextDivision& rows, int64_t read) {
  std::vector<bool> training(read);
  for (const auto& row : rows.rows()) training[row.source] = row.part == datasets::Part::train;
  return training;
}

}  // namespace

void vocabulary(const VocabularyConfig& config, Runtime&) {
  const auto& chosen = config.normalizer;
  text::WordPieceTrainer trainer({.vocabulary_size = config.vocab_size,
                                  .min_frequency = config.min_frequency,
                                  .limit_alphabet = config.limit_alphabet,
                                  .normalizer = {.handle_chinese_chars = chosen.handle_chinese_chars,
                                                 .strip_accents = chosen.strip_accents,
                                                 .lowercase = chosen.lowercase}});
  // Read twice: which rows are for training is known only when all were seen.
  datasets::Rejects rejects(config.rejects_path(), config.data.unfit), again;
  datasets::TextDivision rows(config.data, config.split);
  datasets::TextSource first(config.data, rejects), second(config.data, again);
  for (TextBatch batch; first.next(batch);) rows.add(batch);
  const auto counts = rows.divide(config.duplicates, rejects);
  const auto training = training_rows(rows, counts.read);
  int64_t row = 0;
  for (TextBatch batch; second.next(batch);) {
    for (int64_t i = 0; i < batch.size(); i++) {
      require(row < counts.read, "the tables have changed while they were read");
      if (!training[row++]) continue;
      trainer.add(batch.texts[i]);
      if (!batch.pairs.empty()) trainer.add(batch.pairs[i]);
    }
  }
  const auto spec = trainer.train();

  const std::filesystem::path folder = config.folder();
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path());
  if (std::filesystem::exists(folder)) put_aside(folder);
  save_folder(folder, [&](const auto& aside) { text::write_tokenizer(aside, spec, config.model_max_length); });
  if (rejects.total() > 0) rejects.finish();
  log_info("{}: {} tokens from {} training rows of {}; {} rejected", folder.string(), spec.vocabulary.size(),
           counts.train, counts.read + rejects.total(), rejects.total());
  if (rejects.total() > 0) log_warning("{} says why rows were rejected", config.rejects_path());
}

}  // namespace sartor
