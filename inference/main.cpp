#include "copy/generate.h"
#include "runtime/program.h"
#include "scoring/recommend.h"
#include "scoring/similar.h"
#include "texts/classify.h"
#include "texts/embed.h"
#include "texts/evaluate_texts.h"

int main(int argc, char** argv) {
  using namespace sartor;
  return run_program(
      {.name = "sartor-infer",
       .summary = "Inference with trained models: reads and writes tables.",
       .examples = "  sartor-infer --config configs/ml-100k-recommend.yaml\n"
                   "  sartor-infer --config configs/ml-100k-recommend.yaml --set k=20 --set output=top20.parquet\n"
                   "  sartor-infer --config configs/ml-100k-similar.yaml --overwrite\n"
                   "  sartor-infer --config configs/reviews-en-score.yaml --set precision=int8\n"
                   "  sartor-infer --config configs/reviews-en-score.yaml --resume\n"
                   "  sartor-infer --config configs/reviews-en-embed.yaml\n"
                   "  sartor-infer --config configs/copy-zh-generate.yaml\n"
                   "  sartor-infer --config configs/copy-zh-generate-one.yaml --set prompt=\"写一条购物好评：\"\n"
                   "  sartor-infer --config configs/reviews-zh-diversity.yaml\n",
       .tasks =
           {task("recommend", Processes::sharing, "Best items for each user by a factor model.", inference::recommend),
            task("similar", Processes::sharing,
                 "Nearest items or users by a factor model, or texts by their embeddings.", inference::similar),
            make_task<inference::ClassificationConfig>("classify", Processes::sharing,
                                                       "Classes and probabilities of texts.", inference::classify),
            make_task<inference::EmbedConfig>("embed", Processes::sharing, "Embeddings of texts.", inference::embed),
            make_task<inference::GenerateConfig>("generate", Processes::sharing,
                                                 "Texts written by a language model for prompts.", inference::generate),
            task("evaluate_texts", Processes::one,
                 "BLEU, chrF and ROUGE of generated texts against references, and their diversity.",
                 inference::evaluate_texts)},
       .other = "sartor-train",
       .tasks_of_other = {"prepare", "factorize", "cluster", "vocabulary", "tokenize", "pretrain", "classify",
                          "finetune", "tune"}},
      argc, argv);
}
