using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What admission would say of the objects of a file, without a cluster.</summary>
/// <param name="File">Its name, as given.</param>
/// <param name="Objects">How many objects it has.</param>
public sealed record ManifestValidation(string File, int Objects, IReadOnlyList<string> Errors, IReadOnlyList<string> Warnings)
{
    public bool IsValid => Errors.Count == 0;

    /// <param name="ns">The namespace of objects that do not have one.</param>
    public static ManifestValidation Of(string file, string ns, TextReader input)
    {
        if (file == "-" || ManifestFiles.Extensions.Contains(Path.GetExtension(file)))
        {
            if (file != "-" && !System.IO.File.Exists(file)) throw new ProblemException($"-f {file}", "does not exist", "check the file's name");
            var read = ManifestFiles.Read([file], recursive: false, ns, input);
            var found = read.Objects.SelectMany(value => Validation.Check(value).Select(problem => (Value: value, Problem: problem))).ToList();
            return new(file, read.Objects.Count, [.. read.Problems.Select(problem => problem.ToString()), .. Texts(Severity.Error)],
                [.. Texts(Severity.Warning)]);

            IEnumerable<string> Texts(Severity severity) =>
                found.Where(item => item.Problem.Severity == severity).Select(item => Text(item.Value, item.Problem));
        }
        throw new ProblemException($"-f {file}", $"is not a file with one of the endings {string.Join(' ', ManifestFiles.Extensions)}",
            "name manifests so, or give them on the standard input (-f -)");
    }

    private static string Text(JsonObject value, Problem problem)
    {
        var path = problem.Path.Length == 0 ? "" : $"{problem.Path}: ";
        var remedy = problem.Remedy.Length == 0 ? "" : $" ({problem.Remedy})";
        return $"{value["kind"]}/{value["metadata"]?["namespace"]}/{value["metadata"]?["name"]}: {path}{problem.Message}{remedy}";
    }
}
