// task: generate — writes texts for the rows of a table with a language model, or one text for a single prompt.
#pragma once

#include "copy/generate_config.h"
#include "runtime/program.h"

namespace sartor::inference {

// Throws Stopped on a stop signal; finished parts remain for --resume.
void generate(const GenerateConfig& config, const Invocation& invocation);

}  // namespace sartor::inference
