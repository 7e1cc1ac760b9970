using Isthmus;
using Isthmus.Core.Trust;

RuntimeStore.Empty();
return await CommandLine.RunAsync(args);
