using Isthmus;
using Isthmus.Output;
using Isthmus.Core.Trust;

if (OperatingSystem.IsLinux()) ProcessorLevel.Choose(args);
RuntimeStore.Empty();
Terminal.MakeVisible();
return await CommandLine.RunAsync(args);
