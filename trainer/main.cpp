#include "engine/run_task.h"
#include "tasks/clusters/cluster.h"
#include "tasks/data/prepare.h"
#include "tasks/data/tokenize.h"
#include "tasks/data/vocabulary.h"
#include "tasks/factors/factorize.h"
#include "tasks/generators/finetune.h"
#include "tasks/texts/classify.h"
#include "tasks/texts/pretrain.h"
#include "tasks/tuning/tune.h"

namespace sartor {
namespace {

std::vector<Task> all_tasks() {
  std::vector<Task> tasks = {
      task("prepare", Processes::one, "Converts a table of ratings to a prepared HDF5 file.", prepare),
      task("factorize", Processes::sharing, "Trains a recommender by factorizing prepared ratings.",
           factorize_by<FactorizationAlgorithms>, {"model.epochs", "data.path", "max_device_memory"}),
      task("cluster", Processes::sharing, "Divides items, users, texts or the rows of a table into clusters.", cluster,
           {"model.max_iter"}),
      task("vocabulary", Processes::one, "Trains a WordPiece or byte-level BPE tokenizer on tables of texts.",
           vocabulary),
      task("tokenize", Processes::one, "Converts tables of texts to a tokenized HDF5 file.", tokenize),
      make_task<PretrainConfig>("pretrain", Processes::sharing, "Trains a BERT on tokenized texts without labels.",
                                pretrain),
      make_task<ClassifierTrainingConfig>("classify", Processes::sharing,
                                          "Fine-tunes a BERT to classify tokenized texts.", classify),
      make_task<FinetuneConfig>("finetune", Processes::sharing,
                                "Trains a generator on tokenized texts, completions or preferences.", finetune)};
  tasks.push_back(tune_task(tasks));
  return tasks;
}

}  // namespace
}  // namespace sartor

int main(int argc, char** argv) {
  using namespace sartor;
  return run_program(
      {.name = "sartor-train",
       .summary = "Prepares data and trains models, configured by YAML files.",
       .examples = "  sartor-train --config configs/ml-100k-prepare.yaml\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --set model.factors=128 --set output=runs/wide\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --resume\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --dry-run\n",
       .tasks = all_tasks(),
       .other = "sartor-infer",
       .tasks_of_other = {"recommend", "similar", "classify", "embed", "generate", "evaluate_texts"}},
      argc, argv);
}
