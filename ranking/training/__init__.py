"""From a config to a ranker and its page.

config           TrainConfig: a run as data
written          a run as text: TOML, flags and --set, and back
objectives       which objective a name stands for
presets          what a run draws and how finely it bins, by name
run              `train`
single           one training with its checkpoints
networks         a teacher's training, then those of networks
trainers         who trains which backend
watch            what happens after each round
checkpoint       what a killed run continues from
report           what its page says
page             the page, drawn
crossvalidation  runs over folds
dealing          queries into folds that tell nothing of each other
crossfit         members trained on all folds but one, as one forest
tuning           a search for a better run
combining        trained models as an ensemble
shrinking        a trained model cut to fewer trees
"""
