#include "tasks/data/vocabulary.h"

#include "engine/checkpoints.h"
#include "engine/run_files.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/table_files.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/tokenizers/trainers/wordpiece_trainer.h"

namespace sartor {

void vocabulary(const VocabularyConfig& config, Runtime&) {
  const auto& chosen = config.normalizer;
  text::WordPieceTrainer trainer({.vocabulary_size = config.vocab_size,
                                  .min_frequency = config.min_frequency,
                                  .limit_alphabet = config.limit_alphabet,
                                  .normalizer = {.handle_chinese_chars = chosen.handle_chinese_chars,
                                                 .strip_accents = chosen.strip_accents,
                                                 .lowercase = chosen.lowercase}});
  // The tables are read twice: which rows are for training is known only after all have been read.
  for (const auto& source : config.data.sources) require_readable_twice(source.table, "for its words");
  const datasets::WatchedFiles watched(config.reads());
  datasets::Rejects rejects(config.rejects_path(), config.data.unfit), again;
  text::TextDivision division(config.data, config.split);
  text::TextSource first(config.data, rejects), second(config.data, again);
  for (text::TextBatch batch; first.next(batch);) division.add(batch);
  const auto counts = division.divide(config.duplicates, rejects);
  division.visit_training(second, [&](std::string_view text) { trainer.add(text); });
  watched.check();
  const auto spec = trainer.train();

  const std::filesystem::path folder = config.folder();
  if (std::filesystem::exists(folder)) put_aside(folder);
  save_folder(folder, [&](const auto& aside) { text::write_tokenizer(aside, spec, config.model_max_length); });
  rejects.finish();
  log_info("{}: {} tokens from {} training rows of {}; {} rejected", folder.string(), spec.vocabulary.size(),
           counts.train, counts.read + rejects.total(), rejects.total());
  if (rejects.total() > 0) log_warning("rejected rows and reasons are in {}", config.rejects_path());
}

}  // namespace sartor
