using Isthmus.Style;

// dotnet artifacts/bin/style/release/style.dll ARTIFACTS
//
// Runs the analyzers on every project of Isthmus.slnx in the current folder, as the last Release build into the folder ARTIFACTS compiled it,
// and prints what they find. The exit status is 1 if they find anything.
//
// The compiler could do this, too, but would generate, compile and write everything a second time: 140 instead of 70 CPU seconds.
if (args is not [var artifacts] || artifacts.StartsWith('-'))
{
    Console.Error.WriteLine("style: expected one argument, the folder that a Release build has written to, such as 'artifacts'");
    return 2;
}
try
{
    var found = 0;
    var analyzers = new AnalyzerFiles();
    foreach (var project in CompiledProject.AllOf("Isthmus.slnx", artifacts))
    {
        foreach (var problem in project.Vulnerabilities().Concat(await project.AnalyzeAsync(analyzers)))
        {
            Console.WriteLine(problem);
            found++;
        }
    }
    return found == 0 ? 0 : 1;
}
catch (Exception e) when (e is IOException or InvalidDataException)
{
    Console.Error.WriteLine($"style: error: {e.Message}");
    return 1;
}
