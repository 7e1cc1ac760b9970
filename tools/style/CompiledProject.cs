using System.Collections.Immutable;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace Isthmus.Style;

/// <summary>A project, as a build has compiled it.</summary>
/// <param name="Name">The name of the project's file, without <c>.csproj</c>.</param>
/// <param name="Intermediate">The folder of what the build keeps for the project, such as <c>artifacts/obj/Isthmus.Core</c>.</param>
internal sealed record CompiledProject(string Name, string Intermediate)
{
    /// <summary>The projects of a solution.</summary>
    internal static IEnumerable<CompiledProject> AllOf(string solution, string artifacts) =>
        XDocument.Load(solution).Descendants("Project").Select(project => Path.GetFileNameWithoutExtension(project.Attribute("Path")!.Value))
            .Select(name => new CompiledProject(name, Path.Combine(artifacts, "obj", name)));

    /// <summary>Known vulnerabilities of packages, which restores only warn of.</summary>
    /// <exception cref="InvalidDataException">The project was not restored.</exception>
    internal IEnumerable<string> Vulnerabilities() =>
        from log in JsonNode.Parse(Read("project.assets.json"))?["logs"]?.AsArray() ?? []
        let code = log["code"]?.ToString()
        where code is "NU1901" or "NU1902" or "NU1903" or "NU1904"
        select $"{Name}: warning {code}: {log["message"]}";

    /// <summary>What analyzers and the compiler find, as lines of text.</summary>
    /// <exception cref="InvalidDataException">The project was not compiled.</exception>
    internal async Task<IEnumerable<string>> AnalyzeAsync(AnalyzerFiles files)
    {
        // Written by the target KeepCompilerArguments: the folder of the project, and the arguments.
        var lines = Read("release/compiler.rsp").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var arguments = CSharpCommandLineParser.Default.Parse(lines[1..], lines[0], sdkDirectory: null);
        var intermediate = Path.GetFullPath(Intermediate) + '/';
        if (arguments.SourceFiles.All(source => source.Path.StartsWith(intermediate, StringComparison.Ordinal))) return [];

        var config = new EditorConfig(arguments.AnalyzerConfigPaths);
        var references = arguments.AnalyzerReferences.Select(reference => files.Analyzer(Path.Combine(arguments.BaseDirectory!, reference.FilePath))).ToList();
        ImmutableArray<AdditionalText> texts = [.. arguments.AdditionalFiles.Select(file => new FileText(file.Path))];
        CSharpGeneratorDriver.Create(references.SelectMany(reference => reference.GetGenerators(LanguageNames.CSharp)), texts, arguments.ParseOptions, config)
            .RunGeneratorsAndUpdateCompilation(Compilation(arguments, config, files), out var compilation, out var found);

        ImmutableArray<DiagnosticAnalyzer> analyzers = [.. references.SelectMany(reference => reference.GetAnalyzers(LanguageNames.CSharp)).Where(CanWarn)];
        var options = new CompilationWithAnalyzersOptions(new AnalyzerOptions(texts, config), onAnalyzerException: null, concurrentAnalysis: true,
            logAnalyzerExecutionTime: false);
        var all = found.Concat(await compilation.WithAnalyzers(analyzers, options).GetAllDiagnosticsAsync());
        return all.Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning)
            .OrderBy(diagnostic => diagnostic.Location.SourceTree?.FilePath, StringComparer.Ordinal).ThenBy(diagnostic => diagnostic.Location.SourceSpan)
            .Select(diagnostic => $"{diagnostic} {diagnostic.Descriptor.HelpLinkUri}").Distinct();

        // Most analyzers find nothing that is worth a warning, and take two thirds of the time.
        bool CanWarn(DiagnosticAnalyzer analyzer) => analyzer is DiagnosticSuppressor || analyzer.SupportedDiagnostics.Any(descriptor =>
            descriptor.GetEffectiveSeverity(compilation.Options) is ReportDiagnostic.Warn or ReportDiagnostic.Error
                || config.Warns(descriptor.Id, compilation.SyntaxTrees));
    }

    private static CSharpCompilation Compilation(CSharpCommandLineArguments arguments, EditorConfig config, AnalyzerFiles files) => CSharpCompilation.Create(
        arguments.CompilationName,
        arguments.SourceFiles.AsParallel().AsOrdered().Select(source => CSharpSyntaxTree.ParseText(Text(source.Path), arguments.ParseOptions, source.Path)),
        arguments.MetadataReferences.Select(reference => files.Reference(Path.Combine(arguments.BaseDirectory!, reference.Reference), reference.Properties)),
        arguments.CompilationOptions.WithSyntaxTreeOptionsProvider(config.Severities).WithConcurrentBuild(true));

    private static SourceText Text(string path)
    {
        using var stream = File.OpenRead(path);
        return SourceText.From(stream);
    }

    private string Read(string file)
    {
        var path = Path.Combine(Intermediate, file);
        return File.Exists(path)
            ? File.ReadAllText(path)
            : throw new InvalidDataException($"{path} does not exist; build Isthmus.slnx first: tools/compile Isthmus.slnx -c Release");
    }

    private sealed class FileText(string path) : AdditionalText
    {
        public override string Path => path;

        public override SourceText GetText(CancellationToken cancellationToken = default) => Text(path);
    }
}
