using Isthmus;
using Isthmus.Output;
using Isthmus.Core.Trust;

RuntimeStore.Empty();
Terminal.MakeVisible();
return await CommandLine.RunAsync(args);
