using Isthmus;

return await CommandLine.RunAsync(args);
