#include "engine/run_task.h"
#include "tasks/data/prepare.h"
#include "tasks/data/tokenize.h"
#include "tasks/data/vocabulary.h"
#include "tasks/factors/factorize.h"
#include "tasks/texts/classify.h"
#include "tasks/texts/pretrain.h"

int main(int argc, char** argv) {
  using namespace sartor;
  return run_program(
      {.name = "sartor-train",
       .summary = "Prepares data and trains models from YAML files.",
       .examples = "  sartor-train --config configs/ml-100k-prepare.yaml\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --set model.factors=128 --set output=runs/wide\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --resume\n"
                   "  sartor-train --config configs/ml-100k-als.yaml --dry-run\n",
       .tasks = {task("prepare", Processes::one, "Raw tables in, one prepared HDF5 file out.", prepare),
                 task("factorize", Processes::one, "Factors of users and items from their ratings.",
                      factorize_by<FactorizationAlgorithms>, {"model.epochs", "data.path"}),
                 task("vocabulary", Processes::one, "Tables of texts in, a tokenizer's folder out.", vocabulary),
                 task("tokenize", Processes::one, "Tables of texts in, one tokenized HDF5 file out.", tokenize),
                 make_task<PretrainConfig>("pretrain", Processes::sharing, "Trains a BERT on texts without labels.",
                                           pretrain),
                 make_task<ClassifierTrainingConfig>("classify", Processes::sharing,
                                                     "Fine-tunes a BERT that classifies texts.", classify)},
       .other = "sartor-infer",
       .tasks_of_other = {"recommend", "similar", "classify", "embed"}},
      argc, argv);
}
